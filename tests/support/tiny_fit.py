"""The smallest training with a score of its own choice: one weight, noise from the global generator."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from videolm.training.best_model import BestModel
from videolm.training.checkpoints import WholeCheckpointIO, find_checkpoint
from videolm.training.run_checkpoint import RunCheckpoint
from videolm.training.run_logs import quiet_lightning
from videolm.training.validation_steps import ValidationSteps
from videolm.training.validations import Quality

QUALITY = Quality("val/score", "PSNR", "dB", True, noise=0.1, compared=("train/score", "val/score"), gap=1.0)


class TinyTraining(LightningModule):
    """Fits a weight to sums that no weight fits.

    Args:
        scores: of the validations, by step; others have 0.
        stop: called with "train" or "val" and the step.
    """

    def __init__(self, scores: dict[int, float], stop: Callable[[str, int], None] = lambda *_: None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.scores, self.stop = scores, stop
        self.losses: list[float] = []
        self.validated: list[int] = []
        self.functions: set[str] = set()

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.stop("train", self.global_step)
        loss = (self.weight - batch.sum() - torch.rand(())) ** 2
        self.losses.append(float(loss.detach()))
        return loss

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.stop("val", self.global_step)
        self.validated.append(self.global_step)
        self.functions.add(str(self.trainer.state.fn))
        self.log("val/score", self.scores.get(self.global_step, 0.0))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)

    def export(self, folder: Path) -> None:
        (folder / "part").mkdir(parents=True, exist_ok=True)
        (folder / "part" / "weight").write_text(f"{self.global_step} {float(self.weight.detach())}")


class TinyData(LightningDataModule):
    """Eight numbers to train on, one to validate on."""

    def train_dataloader(self) -> StatefulDataLoader:
        return StatefulDataLoader(torch.arange(8.0), batch_size=1)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader:
        return DataLoader(torch.arange(1.0))  # type: ignore[arg-type]


def tiny_fit(
    folder: Path,
    module: TinyTraining,
    *,
    steps: int = 6,
    interval: int = 2,
    checkpoint_every: int = 100,
    keeps: bool = True,
    quality: Quality = QUALITY,
    timing: ValidationSteps | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: RunCheckpoint | None = None,
    io: CheckpointIO | None = None,
    accumulate: int = 1,
) -> int:
    """Fit or go on, then export to folder/model; returns the step of the model."""
    best = BestModel(folder, "part", quality, keeps)
    last = checkpoint or RunCheckpoint(folder, checkpoint_every, after=best.prune)
    data = TinyData()
    with quiet_lightning():
        trainer = Trainer(
            max_steps=steps, max_epochs=-1, val_check_interval=interval, check_val_every_n_epoch=None,
            callbacks=[timing or ValidationSteps(), best, *callbacks, last],
            plugins=[io or WholeCheckpointIO()], accumulate_grad_batches=accumulate, logger=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
            accelerator="cpu", default_root_dir=folder,
        )  # fmt: skip
        torch.manual_seed(0)
        found = find_checkpoint(folder).path
        trainer.fit(module, data, ckpt_path=found, weights_only=True)
        best.finish(trainer, module, data)
        return best.export(trainer, module, folder / "model")
