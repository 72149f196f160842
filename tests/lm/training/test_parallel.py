"""Training on two processes (gloo, CPU) against the same training on one."""

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from videolm.data.runtime.pretrained import refuse_sharded
from videolm.lm.batch import Batch
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.lm.training.parallel import is_sharded
from videolm.training.run_checkpoint import RunCheckpoint
from videolm.training.strategies import FSDP2Strategy, data_rank

SMALL = LMConfig(dim=32, layers=2, heads=4, kv_heads=2, hidden=48, rotary_dims=(4, 2, 2), segments=4)
STEPS = 4


class Losses(Callback):
    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.values.append(trainer.callback_metrics["train/loss"].item())


def train(examples, vocabulary, strategy, folder: Path, steps: int = STEPS) -> None:
    """Train on shares of the examples, validated after each step; write losses, hidden states and model."""
    torch.manual_seed(0)
    module = LanguageModelTraining(SMALL, vocabulary, warmup_steps=2, schedule="constant", ema_decay=0.5)
    losses, checkpoint = Losses(), folder / "last.ckpt"
    trainer = Trainer(
        max_steps=steps, accelerator="cpu", devices=int(os.environ.get("WORLD_SIZE", "1")),
        strategy=strategy, gradient_clip_val=1.0,
        logger=False, enable_progress_bar=False, enable_model_summary=False,
        log_every_n_steps=2, use_distributed_sampler=False,
        val_check_interval=1, check_val_every_n_epoch=None, limit_val_batches=1, num_sanity_val_steps=0,
        callbacks=[losses, RunCheckpoint(folder, every=STEPS, keep=2)],
    )  # fmt: skip

    class Shares(torch.utils.data.Dataset):
        def __len__(self):
            return STEPS * 2

        def __getitem__(self, step):
            rank, count = data_rank(trainer)
            share = len(examples) // count
            return Batch.collate(examples[rank * share : (rank + 1) * share])

    resumed = checkpoint if checkpoint.exists() else None
    loaders = [DataLoader(Shares(), batch_size=None) for _ in range(2)]
    trainer.fit(module, *loaders, ckpt_path=resumed, weights_only=True)
    with torch.no_grad():
        hidden = module.trained(Batch.collate(examples))
    module.export(folder)
    rank = trainer.global_rank
    torch.save({"losses": losses.values, "hidden": hidden}, folder / f"rank-{rank}.pt")
    assert is_sharded(module.model) == isinstance(strategy, FSDP2Strategy)


def on_process(rank: int, processes: int, port: int, arguments) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes), "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test",
    }  # fmt: skip
    train(*arguments)


def train_on(processes: int, *arguments) -> None:
    """`train` in processes of their own, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(
        on_process, (processes, port, arguments), nprocs=processes, start_method="fork"
    )


@pytest.fixture
def examples(make_example):
    """Four examples with different numbers of targets, so that the halves differ."""
    lengths = ((3, (1, 1, 2)), (0, (1, 2, 2)), (2, (3, 2, 2)), (1, (2, 2, 2)))
    return [make_example(text, grid=grid, seed=seed) for seed, (text, grid) in enumerate(lengths)]


@pytest.fixture
def alone(examples, vocabulary, tmp_path):
    """One step more than the others take."""
    train(examples, vocabulary, "auto", tmp_path / "alone", STEPS + 1)
    return torch.load(tmp_path / "alone/rank-0.pt")


def test_ddp_has_the_losses_and_weights_of_one_process(alone, examples, vocabulary, tmp_path):
    train_on(2, examples, vocabulary, "ddp", tmp_path, STEPS + 1)
    for rank in range(2):
        result = torch.load(tmp_path / f"rank-{rank}.pt")
        assert result["losses"] == pytest.approx(alone["losses"], rel=1e-4)
        torch.testing.assert_close(result["hidden"], alone["hidden"], rtol=0, atol=0.01)


@pytest.mark.long
@pytest.mark.parametrize("group", [1, 2])
def test_fsdp2_trains_as_one_process_and_its_model_and_checkpoint_load_in_one(
    alone, examples, vocabulary, tmp_path, group
):
    """With each process on its own batch, and with both in a tensor-parallel group on the same one."""
    train_on(2, examples, vocabulary, FSDP2Strategy(group), tmp_path)
    sharded = torch.load(tmp_path / "rank-0.pt")
    assert sharded["losses"] == pytest.approx(alone["losses"][:STEPS], rel=1e-3)
    whole = PrefixLM.from_pretrained(tmp_path / "lm", vocabulary)
    with torch.no_grad():
        hidden = whole(Batch.collate(examples))
    torch.testing.assert_close(hidden, sharded["hidden"], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="only that training itself goes on"):
        refuse_sharded(tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="only that training itself goes on"):
        PrefixLM.from_pretrained(tmp_path / "last.ckpt", vocabulary)
    train_on(1, examples, vocabulary, FSDP2Strategy(), tmp_path, STEPS + 1)
    resumed = torch.load(tmp_path / "rank-0.pt")
    assert resumed["losses"] == pytest.approx(alone["losses"][STEPS:], rel=1e-3)
    torch.testing.assert_close(resumed["hidden"], alone["hidden"], rtol=0, atol=0.02)
