"""Lightning callbacks of every fit: the checkpoint last.ckpt, the progress bar, Ctrl-C."""

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.strategies import ModelParallelStrategy

from ..data.runtime.files import naming_full_disk, replacing
from ..data.runtime.progress import progress
from .checkpoints import LAST
from .validation_steps import interval_of


class LastCheckpoint(Checkpoint):
    """Write last.ckpt every so many steps and at the end; an unfinished one never takes its place.

    It is a file or, of a sharded model, a folder to which each process writes its part. Of a step that is
    validated at its turn it is written after the validation, which a resumed run then does not make again.

    Args:
        after: called by the first process when it is written.
    """

    def __init__(self, folder: Path, every: int, after: Callable[[], None] | None = None):
        if every < 1:
            raise ValueError(f"--checkpoint_every is {every}; expected at least 1")
        self.path = folder / LAST
        self.unfinished = folder / f"{LAST}.unfinished"  # of a sharded one: a folder that all processes know
        self.every = every
        self.after = after
        self.saved_at = 0
        self.waits = False  # for the end of a validation

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.saved_at = trainer.global_step
        if trainer.is_global_zero:
            shutil.rmtree(self.unfinished, ignore_errors=True)  # of a run that was killed

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # The last step is saved here too: Lightning counts on from a checkpoint as if it was made here.
        is_last = trainer.global_step == trainer.max_steps
        if is_last or trainer.global_step - self.saved_at >= self.every:
            self.waits = _validates(trainer)
            if not self.waits:
                self._save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.waits:
            self.waits = False
            for logger in trainer.loggers:
                logger.save()
            self._save(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Lightning logs a step after it is saved; what is on disk of the logs is to reach the checkpoint.
        if trainer.global_step == self.saved_at:
            for logger in trainer.loggers:
                logger.save()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step > self.saved_at:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        self.saved_at = trainer.global_step
        self._write(trainer)
        if self.after is not None and trainer.is_global_zero:
            self.after()

    def _write(self, trainer: Trainer) -> None:
        if not isinstance(trainer.strategy, ModelParallelStrategy):
            trainer.save_checkpoint(self.path)
            return
        with naming_full_disk(self.path):
            trainer.save_checkpoint(self.unfinished)
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            with replacing(self.path) as temporary:
                self.unfinished.rename(temporary)


def _validates(trainer: Trainer) -> bool:
    """Whether Lightning validates after the step that has just been made, at its interval.

    From a checkpoint after a validation at another step (validation_steps.py) it would count on wrongly.
    """
    loop, interval = trainer.fit_loop, interval_of(trainer)
    assert loop._data_fetcher is not None
    is_due = loop.epoch_loop._should_check_val_fx(loop._data_fetcher)
    return is_due and (interval is None or (loop.epoch_loop.total_batch_idx + 1) % interval == 0)


class SecondInterrupt(Callback):
    """Lightning is deaf to a second Ctrl-C while it ends after the first one; not with this."""

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGINT)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, KeyboardInterrupt):
            signal.signal(signal.SIGINT, self.handler)


class FitProgress(Callback):
    """One bar for the whole fit, with the time left and the values that the module logs with `prog_bar`."""

    def __init__(self, description: str):
        self.description = description

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        total = trainer.max_steps if trainer.max_steps > 0 else trainer.estimated_stepping_batches
        self.shown = progress(self.description, float(total), completed=trainer.global_step)
        self.report = self.shown.__enter__()
        self.reported_at = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if time.monotonic() - self.reported_at > 0.5:  # reading the metrics waits for the device
            self.reported_at = time.monotonic()
            values = trainer.progress_bar_metrics.items()
            note = "  ".join(f"{name} {value:.3g}" for name, value in values)
            self.report(trainer.global_step, note)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.report(trainer.global_step)
        self.shown.__exit__(None, None, None)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if hasattr(self, "shown"):
            self.shown.__exit__(None, None, None)
