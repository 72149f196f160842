"""Two processes of which one hears a signal end after the same step, with one checkpoint."""

import os
import signal
import socket
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from tiny_fit import TinyData, TinyTraining

from videolm.training.background_writing import BackgroundCheckpointIO
from videolm.training.checkpoints import WholeCheckpointIO, step_of
from videolm.training.run_checkpoint import RunCheckpoint
from videolm.training.run_logs import quiet_lightning
from videolm.training.stop_signals import StopSignals


def fit(rank: int, folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
    }  # fmt: skip

    def send(phase: str, step: int) -> None:
        if (phase, step, rank) == ("train", 2, 1):
            os.kill(os.getpid(), signal.SIGUSR1)

    with quiet_lightning():
        trainer = Trainer(
            max_steps=50, max_epochs=-1, limit_val_batches=0, accelerator="cpu", devices=2, strategy="ddp",
            callbacks=[RunCheckpoint(folder, 100, signals=StopSignals("lm"))],
            plugins=[BackgroundCheckpointIO(WholeCheckpointIO())], logger=False, enable_progress_bar=False,
            enable_model_summary=False, use_distributed_sampler=False, default_root_dir=folder,
        )  # fmt: skip
        try:
            trainer.fit(TinyTraining({}, send), TinyData())
        except SIGTERMException as stopped:
            (folder / f"rank-{rank}").write_text(f"{stopped.code} {trainer.global_step}")


def test_all_processes_end_after_the_same_step_whichever_hears_the_signal(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(fit, (tmp_path, port), nprocs=2, start_method="fork")
    code = 128 + signal.SIGUSR1
    assert [(tmp_path / f"rank-{rank}").read_text() for rank in (0, 1)] == [f"{code} 3"] * 2
    assert step_of(tmp_path / "last.ckpt") == 3
