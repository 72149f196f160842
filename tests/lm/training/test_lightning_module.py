import math

import jaxtyping
import pytest
import torch
from lightning import Trainer
from torch._dynamo.testing import CompileCounter
from torch.utils.data import DataLoader

from videolm.lm.batch import Batch
from videolm.lm.model.activation_checkpointing import checkpoint_layers
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.lm.training.loss import loss_of
from videolm.lm.training.own_predictions import is_drawn

TINY = LMConfig(dim=32, layers=2, heads=2, kv_heads=1, hidden=64, rotary_dims=(4, 6, 6), segments=4)


def repeated(batch, steps):
    return DataLoader([batch] * steps, batch_size=None)


def trainer_of(steps: int, **settings) -> Trainer:
    settings = {"gradient_clip_val": 1.0, "log_every_n_steps": 1} | settings
    return Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )


@pytest.fixture
def fit(vocabulary, make_batch, tmp_path):
    """Train a tiny model for so many steps on one batch; gives module, batch and trainer."""

    def run(steps: int, precision="32-true", validate: bool = False, **settings):
        torch.manual_seed(0)
        module = LanguageModelTraining(TINY, vocabulary, warmup_steps=5, **settings)
        batch = make_batch(3, 0, 2, given=1)
        trainer = trainer_of(
            steps, precision=precision, default_root_dir=tmp_path, log_every_n_steps=1 if validate else steps
        )
        trainer.fit(module, repeated(batch, steps), repeated(batch, 1) if validate else None)
        return module, batch, trainer

    return run


class Recording(LanguageModelTraining):
    """Keeps the gradients of every step, and spoils the loss of those in `spoilt`."""

    spoilt: range = range(0)

    def configure_gradient_clipping(self, optimizer, **settings):
        super().configure_gradient_clipping(optimizer, **settings)
        gradients = [each.grad.clone() for each in self.model.parameters() if each.grad is not None]
        self.gradients = [*getattr(self, "gradients", []), gradients]

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * math.nan if self.global_step in self.spoilt else loss


@pytest.fixture
def record(vocabulary):
    """Train on batches without clipping; gives the module with its gradients."""

    def run(batches, accumulated: int = 1, steps: int = -1, spoilt: range = range(0), **settings):
        torch.manual_seed(0)
        module = Recording(TINY, vocabulary, warmup_steps=5, **settings)
        for head in module.model.heads.parameters():
            torch.nn.init.normal_(head, std=0.3)
        module.spoilt = spoilt
        trainer = trainer_of(
            steps, max_epochs=1, gradient_clip_val=None, accumulate_grad_batches=accumulated
        )
        trainer.fit(module, DataLoader(batches, batch_size=None))
        return module

    return run


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_tiny_model_learns_a_batch_by_heart(fit, precision):
    module, batch, _ = fit(80, precision)
    guess = math.log(6)
    assert loss_of(module.model, batch).mean.item() < 0.05 * guess


def test_reports_name_what_was_learnt(fit):
    _, _, trainer = fit(3, validate=True)
    blocks = {"visual", "audio_0", "audio_1"}
    learnt = {f"nats/{name}" for name in blocks} | {"loss", "task/text_to_video", "task/unconditional"}
    signs = {"padding", "gradient_norm", "tokens_per_second", "mfu_percent", "entropy/visual/1"}
    signs |= {f"entropy/{name}/0" for name in blocks} | {f"code_perplexity/{name}" for name in blocks}
    groups = ("matrices", "others", "tables")
    signs |= {f"{each}/{group}" for each in ("learning_rate", "gradient_norm") for group in groups}
    signs |= {"skipped_steps"}
    for stage, names in {"train": learnt | signs, "validation": learnt}.items():
        found = {
            name.removeprefix(f"{stage}/") for name in trainer.callback_metrics if name.startswith(stage)
        }
        assert found == names
    assert trainer.callback_metrics["train/tokens_per_second"] > 0
    assert 0 < trainer.callback_metrics["train/mfu_percent"] < 100
    # Heads start at zero: all codes are as likely.
    assert trainer.callback_metrics["train/entropy/visual/0"] == pytest.approx(math.log(4), abs=0.05)


def test_exported_model_is_the_trained_one(fit, vocabulary, tmp_path):
    module, batch, _ = fit(3)
    module.export(tmp_path / "model")
    loaded = PrefixLM.from_pretrained(tmp_path / "model" / "lm", vocabulary)
    assert torch.equal(loss_of(loaded, batch).mean, loss_of(module.model, batch).mean)


def test_a_resumed_run_ends_where_an_unbroken_one_does(fit, vocabulary, make_batch, tmp_path):
    unbroken, batch, _ = fit(6)

    class StopAtThree(LanguageModelTraining):
        def on_train_batch_end(self, outputs, batch, batch_idx):
            if self.global_step == 3:
                self.trainer.should_stop = True

    torch.manual_seed(0)
    first = trainer_of(6)
    first.fit(StopAtThree(TINY, vocabulary, warmup_steps=5), repeated(batch, 6))
    first.save_checkpoint(tmp_path / "last.ckpt")
    assert first.global_step == 3
    resumed = LanguageModelTraining(TINY, vocabulary, warmup_steps=5)
    trainer_of(6).fit(resumed, repeated(batch, 6), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    for mine, other in zip(resumed.parameters(), unbroken.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_in_a_share_of_the_steps_the_model_reads_its_own_predictions(record, make_batch, monkeypatch):
    from videolm.lm.training import lightning_module as module

    shown = []

    def noted(model, batch, seed, number):
        shown.append(number)
        return real(model, batch, seed, number)

    real = module.with_own_predictions
    monkeypatch.setattr(module, "with_own_predictions", noted)
    batches = [make_batch(3, 0) for _ in range(12)]
    record(batches, own_predictions=0.5)
    assert 0 < len(shown) < 12 and shown == [step for step in range(12) if is_drawn(0.5, 0, step)]
    with pytest.raises(ValueError, match="own_predictions is 1"):
        record(batches, own_predictions=1.0)


def test_matrices_of_the_layers_are_orthogonalized_and_the_rest_is_not(fit):
    module, _, trainer = fit(1)
    matrices, norms, tables = (group["params"] for group in trainer.optimizers[0].param_groups)
    names = {id(parameter): name for name, parameter in module.model.named_parameters()}
    assert {names[id(each)].split(".")[-2] for each in matrices} == {"project_in", "project_out"}
    assert not [each for each in (*norms, *tables) if "project" in names[id(each)]]
    assert all("norm" in names[id(each)] for each in norms)
    assert len(matrices) + len(norms) + len(tables) == len(names)
    decays = [group["weight_decay"] for group in trainer.optimizers[0].param_groups]
    assert decays == [module.weight_decay, 0.0, module.table_weight_decay]


def test_accumulated_batches_have_the_gradient_of_one_joint_batch(record, make_example):
    """Whatever their numbers of targets, also in a last step of fewer batches."""
    short = [make_example(3, grid=(1, 1, 2), audio=0)]
    long = [make_example(1, grid=(3, 2, 2), seed=1), make_example(0, seed=2)]
    last = [make_example(2, seed=3)]
    frozen = {"learning_rate": 0.0, "adam_learning_rate": 0.0}
    parts = record([Batch.collate(each) for each in (short, long, last)], accumulated=2, **frozen)
    joint = record([Batch.collate(each) for each in (short + long, last)], **frozen)
    assert len(parts.gradients) == len(joint.gradients) == 2
    for step, expected in zip(parts.gradients, joint.gradients, strict=True):
        torch.testing.assert_close(step, expected, rtol=1e-4, atol=1e-6)


def test_a_non_finite_step_changes_nothing_and_the_next_one_counts(record, make_batch):
    batch = make_batch(3, 0, 2)
    with pytest.warns(UserWarning, match="step 1 is skipped: the loss is|step 1 is skipped: the gradients"):
        module = record([batch] * 3, spoilt=range(1, 2))
    assert [bool(step) for step in module.gradients] == [True, False, True]
    unspoilt = record([batch] * 2)
    assert module.skipped_steps.skipped == 1 and unspoilt.skipped_steps.skipped == 0
    # What the second of the good steps saw is what it sees when nothing goes wrong between.
    torch.testing.assert_close(module.gradients[2], unspoilt.gradients[1])


def test_too_many_non_finite_steps_in_a_row_end_the_training(record, make_batch):
    message = "at step 4, and 3 steps in a row were non-finite"
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match=message):
        record([make_batch(3)] * 9, spoilt=range(2, 9), max_skipped_steps=3)


def test_average_of_the_weights_is_validated_and_exported(fit, vocabulary, tmp_path):
    module, batch, trainer = fit(8, validate=True, ema_decay=0.9)
    last, average = loss_of(module.model, batch).mean, loss_of(module.average.module, batch).mean
    assert average > last + 0.01
    assert trainer.callback_metrics["validation/loss"] == pytest.approx(average.item())
    module.export(tmp_path / "model")
    loaded = PrefixLM.from_pretrained(tmp_path / "model" / "lm", vocabulary)
    assert torch.equal(loss_of(loaded, batch).mean, average)


def test_layers_whose_activations_are_computed_again_have_the_same_gradients(record, make_batch):
    batch = make_batch(3, 0, 2)
    plain, saving = record([batch]), record([batch], activation_checkpointing=1)
    torch.testing.assert_close(saving.gradients, plain.gradients)


def test_activation_checkpointing_keeps_less_in_memory(make_model, make_batch):
    def kept(every: int) -> int:
        model, batch = make_model(), make_batch(3, 0, 2)
        checkpoint_layers(model.layers, every)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda saved: sizes.append(saved.numel()) or saved, lambda saved: saved
        ):
            loss_of(model, batch)
        return sum(sizes)

    assert kept(1) < kept(2) < kept(0)


def test_adamw_trains_the_same_groups(fit):
    module, batch, trainer = fit(40, optimizer="adamw", learning_rate=3e-3, table_weight_decay=0.01)
    assert isinstance(trainer.optimizers[0], torch.optim.AdamW)
    decays = [group["weight_decay"] for group in trainer.optimizers[0].param_groups]
    assert decays == [module.weight_decay, 0.0, 0.01]
    assert loss_of(module.model, batch).mean.item() < 0.9 * math.log(6)


@pytest.mark.long
def test_layers_are_compiled_once_for_all_lengths(make_model, make_batch, monkeypatch):
    """Twice at most: for the first length, then for any. Masks and the layer's number do not count."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the checks of types do not compile
    torch._dynamo.reset()
    counter = CompileCounter()
    plain, compiled = make_model(), make_model()
    for layer in compiled.layers:
        layer.compile(backend=counter)
    numbers = []
    for texts in ((3, 0, 2), (1, 5), (2, 2, 2, 7), (4, 1)):
        batch = make_batch(*texts)
        torch.testing.assert_close(loss_of(compiled, batch).total, loss_of(plain, batch).total)
        numbers.append(counter.frame_count)
    assert numbers[0] > 0 and numbers[1:] == [2 * numbers[0]] * 3
