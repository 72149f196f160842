import math
from pathlib import Path

import pytest
import torch
import yaml
from lightning import Trainer
from torch.utils.data import DataLoader

from videolm.lm.loss import loss_of
from videolm.lm.training import LanguageModelTraining
from videolm.lm.transformer import LMConfig, PrefixLM
from videolm.lm.vocabulary import Vocabulary

CONFIGS = Path(__file__).parents[2] / "configs" / "lm"
TINY = LMConfig(dim=32, layers=2, heads=2, kv_heads=1, hidden=64, rotary_dims=(4, 6, 6), segments=4)


def repeated(batch, steps):
    return DataLoader([batch] * steps, batch_size=None)


@pytest.fixture
def fit(vocabulary, make_batch, tmp_path):
    """Train a tiny model for so many steps on one batch; gives module, batch and trainer."""

    def run(steps: int, precision="32-true", validate: bool = False):
        torch.manual_seed(0)
        module = LanguageModelTraining(TINY, vocabulary, warmup_steps=5)
        batch = make_batch(3, 0, 2, given=1)
        trainer = Trainer(
            max_steps=steps,
            accelerator="cpu",
            precision=precision,
            gradient_clip_val=1.0,
            default_root_dir=tmp_path,
            log_every_n_steps=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, repeated(batch, steps), repeated(batch, 1) if validate else None)
        return module, batch, trainer

    return run


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_tiny_model_learns_a_batch_by_heart(fit, precision):
    module, batch, _ = fit(80, precision)
    guess = math.log(6)
    assert loss_of(module.model, batch).mean.item() < 0.05 * guess


def test_reports_name_what_was_learnt(fit):
    _, _, trainer = fit(3, validate=True)
    for stage in ("train", "validation"):
        parts = {
            name.removeprefix(f"{stage}/") for name in trainer.callback_metrics if name.startswith(stage)
        }
        blocks = {"nats/visual", "nats/audio_0", "nats/audio_1"}
        tasks = {"task/text_to_video", "task/unconditional"}
        assert parts - {"tokens_per_second"} == {"loss"} | blocks | tasks
    assert trainer.callback_metrics["train/tokens_per_second"] > 0


def test_exported_model_is_the_trained_one(fit, vocabulary, tmp_path):
    module, batch, _ = fit(3)
    module.export(tmp_path / "model")
    loaded = PrefixLM.from_pretrained(tmp_path / "model" / "lm", vocabulary)
    assert torch.equal(loss_of(loaded, batch).mean, loss_of(module.model, batch).mean)


def test_a_resumed_run_ends_where_an_unbroken_one_does(fit, vocabulary, make_batch, tmp_path):
    unbroken, batch, _ = fit(6)

    def trainer(steps):
        return Trainer(
            max_steps=steps, accelerator="cpu", gradient_clip_val=1.0, logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip

    class StopAtThree(LanguageModelTraining):
        def on_train_batch_end(self, outputs, batch, batch_idx):
            if self.global_step == 3:
                self.trainer.should_stop = True

    torch.manual_seed(0)
    first = trainer(6)
    first.fit(StopAtThree(TINY, vocabulary, warmup_steps=5), repeated(batch, 6))
    first.save_checkpoint(tmp_path / "last.ckpt")
    assert first.global_step == 3
    resumed = LanguageModelTraining(TINY, vocabulary, warmup_steps=5)
    trainer(6).fit(resumed, repeated(batch, 6), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    for mine, other in zip(resumed.parameters(), unbroken.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_matrices_of_the_layers_are_orthogonalized_and_the_rest_is_not(fit):
    module, _, trainer = fit(1)
    matrices, others = (group["params"] for group in trainer.optimizers[0].param_groups)
    names = {id(parameter): name for name, parameter in module.model.named_parameters()}
    assert {names[id(each)].split(".")[-2] for each in matrices} == {"project_in", "project_out"}
    assert not [each for each in others if "project" in names[id(each)]]
    assert len(matrices) + len(others) == len(names)
    assert trainer.optimizers[0].param_groups[0]["weight_decay"] == module.weight_decay


@pytest.mark.parametrize(("name", "millions"), [("demo", 1.6), ("300m", 300), ("1b", 1000)])
def test_presets_have_bodies_of_the_size_in_their_name(name, millions):
    settings = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]["model"]
    settings |= {"rotary_dims": tuple(settings["rotary_dims"])}
    with torch.device("meta"):
        model = PrefixLM(LMConfig(**settings), Vocabulary.of_sizes())
    body = sum(parameter.numel() for parameter in model.layers.parameters())
    assert body == pytest.approx(millions * 1e6, rel=0.05)
