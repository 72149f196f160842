"""Training a stage: it learns, skips bad steps, shares bits, and two processes train as one."""

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from lightning import Trainer
from torch.utils.data import DataLoader

from videolm.super_resolution.batch import PairBatch
from videolm.super_resolution.training.lightning_module import SuperResolutionTraining
from videolm.super_resolution.training.loss import loss_of
from videolm.super_resolution.transformer import StageConfig, SuperResolution
from videolm.training.strategies import FSDP2Strategy


def trainer_of(steps: int, **settings) -> Trainer:
    return Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
        **{"gradient_clip_val": 1.0, "log_every_n_steps": 1} | settings,
    )  # fmt: skip


def train(config: StageConfig, batches: list[PairBatch], steps: int, trainer: Trainer, **settings):
    torch.manual_seed(0)
    module = SuperResolutionTraining(config.model, config.clips, warmup_steps=5, **settings)
    trainer.fit(module, *(DataLoader(batches, batch_size=None) for _ in range(2)))  # type: ignore[arg-type]
    return module


@pytest.mark.parametrize("optimizer", [{}, {"optimizer": "adamw", "learning_rate": 3e-3, "share_bits": True}])
def test_a_stage_learns_its_clips(optimizer, make_config, make_pairs, tmp_path):
    """The low-resolution codes and the text say which clip it is."""
    batch = make_pairs(batch=4)
    trainer = trainer_of(120, default_root_dir=tmp_path, max_epochs=-1, limit_val_batches=0)
    module = train(make_config(), [batch], 120, trainer, **optimizer)
    nats = loss_of(module.model, batch).by_clip
    assert nats.max() < 0.65 * torch.tensor(64.0).log()


def test_shared_bits_are_exported_as_plain_tables(make_config, make_pairs, tmp_path):
    trainer = trainer_of(2, default_root_dir=tmp_path)
    batch = make_pairs()
    module = train(make_config(head="conditional"), [batch] * 2, 2, trainer, share_bits=True, ema_decay=0.5)
    module.export(tmp_path)
    loaded = SuperResolution.from_model(tmp_path, "5x48x64")
    arguments = (batch.codes, batch.masked, batch.condition)
    torch.testing.assert_close(loaded(*arguments), module.trained(*arguments))


def test_recomputed_layers_give_the_same_gradients(make_config, make_pairs):
    gradients = []
    for every in (0, 1):
        torch.manual_seed(0)
        config = make_config()
        module = SuperResolutionTraining(config.model, config.clips, activation_checkpointing=every)
        for weight in module.model.parameters():
            torch.nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(weight.numel()))
        loss_of(module.model, make_pairs()).mean.backward()
        gradients.append([weight.grad for weight in module.model.parameters()])
    torch.testing.assert_close(*gradients)


class Spoiling(SuperResolutionTraining):
    """Makes the loss of the second step infinite."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * float("inf") if self.global_step == 1 else loss


def test_a_step_with_an_infinite_loss_is_skipped(make_config, make_pairs, tmp_path):
    config, trainer = make_config(), trainer_of(3, default_root_dir=tmp_path)
    module = Spoiling(config.model, config.clips)
    with pytest.warns(UserWarning, match="step 1 is skipped"):
        trainer.fit(module, DataLoader([make_pairs()] * 3, batch_size=None))  # type: ignore[arg-type]
    assert module.skipped_steps.skipped == 1
    assert all(weight.isfinite().all() for weight in module.model.parameters())


def on_process(rank: int, processes: int, port: int, arguments) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes), "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test",
    }  # fmt: skip
    on_share(*arguments)


def on_share(config: StageConfig, batches: list[list[PairBatch]], strategy, folder: Path) -> None:
    """Three steps on this process' batches, then the exported stage's answer."""
    rank = int(os.environ.get("RANK", "0"))
    settings = {"devices": len(batches), "use_distributed_sampler": False, "default_root_dir": folder}
    trainer = trainer_of(3, strategy=strategy, **settings)
    module = train(config, batches[rank], 3, trainer, ema_decay=0.5, learning_rate=0.002)
    module.export(folder)


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_two_processes_train_as_one(strategy, make_config, make_pairs, tmp_path):
    config = make_config()
    halves = [[make_pairs(seed=2 * step + half) for step in range(3)] for half in (0, 1)]
    whole = [joined(*pair) for pair in zip(*halves, strict=True)]
    on_share(config, [whole], "auto", tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = FSDP2Strategy() if strategy == "fsdp2" else strategy
    arguments = (2, port, (config, halves, made, tmp_path / "two"))
    torch.multiprocessing.start_processes(on_process, arguments, nprocs=2, start_method="fork")
    one, two = (SuperResolution.from_model(tmp_path / name, "5x48x64") for name in ("one", "two"))
    batch = whole[0]
    states = [stage(batch.codes, batch.masked, batch.condition) for stage in (one, two)]
    torch.testing.assert_close(*states, rtol=0, atol=0.01)


def joined(one: PairBatch, other: PairBatch) -> PairBatch:
    names = ("low", "has_low", "noise", "text", "text_length")
    pairs = {name: (getattr(one.condition, name), getattr(other.condition, name)) for name in names}
    condition = type(one.condition)(**{name: torch.cat(pair) for name, pair in pairs.items()})
    return PairBatch(torch.cat([one.codes, other.codes]), torch.cat([one.masked, other.masked]), condition)
