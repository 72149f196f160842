"""Training on two processes (gloo, CPU) against the same training on one."""

import os
import socket
from dataclasses import dataclass, field
from functools import partialmethod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jaxtyping
import pytest
import torch
import torch.multiprocessing
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.utils.data import DataLoader

from videolm.data.runtime.pretrained import refuse_sharded
from videolm.lm.batch import Batch
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.lm.training.parallel import is_sharded
from videolm.lm.vocabulary import Vocabulary
from videolm.training.callbacks import LastCheckpoint
from videolm.training.sharded_tensors import whole
from videolm.training.strategies import FSDP2Strategy, data_rank, is_fsdp2

SMALL = LMConfig(dim=32, layers=2, heads=4, kv_heads=2, hidden=48, rotary_dims=(4, 2, 2), segments=4)
STEPS = 4


class Losses(Callback):
    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.values.append(trainer.callback_metrics["train/loss"].item())


@dataclass(frozen=True)
class Way:
    """How a training is run.

    Args:
        model: settings of the module.
        trainer: settings of the trainer.
        examples_a_row: several are packed.
        tolerance: relative, of the losses.
    """

    model: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    examples_a_row: int = 1
    tolerance: float = 1e-3


PLAIN = Way(model={"ema_decay": 0.5})


def train(
    examples, vocabulary, strategy, folder: Path, steps: int = STEPS, way: Way = PLAIN, meta: bool = True
) -> None:
    """Train on shares of the examples, validated after each step; write losses, hidden states and model."""
    torch.manual_seed(0)
    settings = {"warmup_steps": 2, "schedule": "constant"} | way.model
    module = LanguageModelTraining(SMALL, vocabulary, sharded=meta and is_fsdp2(strategy), **settings)
    losses, checkpoint = Losses(), folder / "last.ckpt"
    trainer = Trainer(
        max_steps=steps, accelerator="cpu", devices=int(os.environ.get("WORLD_SIZE", "1")),
        strategy=strategy, gradient_clip_val=1.0,
        logger=False, enable_progress_bar=False, enable_model_summary=False,
        log_every_n_steps=2, use_distributed_sampler=False,
        val_check_interval=1, check_val_every_n_epoch=None, limit_val_batches=1, num_sanity_val_steps=0,
        callbacks=[losses, LastCheckpoint(folder, every=STEPS)], **way.trainer,
    )  # fmt: skip

    class Shares(torch.utils.data.Dataset):
        def __len__(self):
            return STEPS * 4

        def __getitem__(self, step):
            rank, count = data_rank(trainer)
            share = len(examples) // count
            own = examples[rank * share : (rank + 1) * share]
            rows = [own[i : i + way.examples_a_row] for i in range(0, share, way.examples_a_row)]
            return Batch.of_rows(rows)

    resumed = checkpoint if checkpoint.exists() else None
    loaders = [DataLoader(Shares(), batch_size=None) for _ in range(2)]
    trainer.fit(module, *loaders, ckpt_path=resumed, weights_only=True)
    with torch.no_grad(), trainer.precision_plugin.forward_context():
        hidden = module.trained(Batch.collate(examples))
    module.export(folder)
    rank = trainer.global_rank
    torch.save({"losses": losses.values, "hidden": hidden}, folder / f"rank-{rank}.pt")
    assert is_sharded(module.model) == is_fsdp2(strategy)


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
def uneven(make_example):
    """Eight examples, of which the first half has no sound and the second no pictures."""
    kinds = [{"grid": (1, 2, 2), "audio": 0}] * 4 + [{"grid": (0, 1, 1), "audio": 2}] * 4
    return [make_example(index % 3, seed=index, **kind) for index, kind in enumerate(kinds)]


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


def has_the_losses_of_one_process(processes, examples, vocabulary, folder, way, group=1):
    train(examples, vocabulary, "auto", folder / "alone", STEPS, way)
    alone = torch.load(folder / "alone/rank-0.pt")
    train_on(processes, examples, vocabulary, FSDP2Strategy(group), folder, STEPS, way)
    for rank in range(processes):
        result = torch.load(folder / f"rank-{rank}.pt")
        assert result["losses"] == pytest.approx(alone["losses"], rel=way.tolerance)


PACKED = Way(model={"ema_decay": 0.5}, examples_a_row=2)


def test_fsdp2_reports_a_step_in_which_each_process_has_other_blocks(uneven, vocabulary, tmp_path):
    """Packed rows, some without sound and some without pictures, over two reports and validations."""
    has_the_losses_of_one_process(2, uneven, vocabulary, tmp_path, PACKED)


WAYS = {
    "bf16-mixed": Way(trainer={"precision": "bf16-mixed"}, tolerance=0.02),
    "compiled": Way(model={"compile": True}),
    "accumulated": Way(trainer={"accumulate_grad_batches": 2}, examples_a_row=2),
    "average": Way(model={"ema_decay": 0.5}),
    "recomputed": Way(model={"activation_checkpointing": 1}),
    "all": Way(
        model={"compile": True, "activation_checkpointing": 1, "ema_decay": 0.5},
        trainer={"accumulate_grad_batches": 2, "precision": "bf16-mixed"},
        examples_a_row=2,
        tolerance=0.02,
    ),
}


@pytest.mark.long
@pytest.mark.timeout(1200)  # four processes that compile, on as few cores as there are
@pytest.mark.parametrize("processes, group", [(2, 1), (4, 1), (4, 2)])
@pytest.mark.parametrize("name", WAYS)
def test_fsdp2_has_the_losses_of_one_process_in_every_way(
    name, processes, group, uneven, vocabulary, tmp_path, monkeypatch
):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the checks of types do not compile
    # What is compiled is the same; C++ of it is made elsewhere.
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="aot_eager"))
    has_the_losses_of_one_process(processes, uneven, vocabulary, tmp_path, WAYS[name], group)


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


def test_a_model_made_in_parts_has_the_weights_of_one_made_whole(in_processes, vocabulary, tmp_path):
    """Whether they are drawn or read from a folder, whose new blocks are drawn."""
    older = Vocabulary(vocabulary.blocks[:-1])
    torch.manual_seed(1)
    older.save(tmp_path / "vocabulary.json")
    PrefixLM(SMALL, older).save_pretrained(tmp_path / "lm")

    def made(folder, mesh=None):
        torch.manual_seed(0)
        module = LanguageModelTraining(
            SMALL, vocabulary, init_from=folder, ema_decay=0.5, sharded=mesh is not None
        )
        if mesh is not None:
            assert all(weight.is_meta for weight in module.parameters())
            torch.rand(5)  # whatever is drawn in the meantime
            module._device_mesh = mesh
            module._trainer = SimpleNamespace(
                precision="32-true", strategy=SimpleNamespace(root_device=torch.device("cpu"))
            )
            module.configure_model()
        after = torch.rand(3)
        return {name: whole(value) for name, value in module.state_dict().items()} | {"after": after}

    def divided(rank):
        mesh = init_device_mesh("cpu", (2, 1), mesh_dim_names=("data_parallel", "tensor_parallel"))
        return [made(folder, mesh) for folder in (None, tmp_path)]

    for states in in_processes(2, divided):
        for folder, state in zip((None, tmp_path), states, strict=True):
            expected = made(folder)
            assert state.keys() == expected.keys()
            assert all(torch.equal(state[name], value) for name, value in expected.items())
