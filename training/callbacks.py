"""Lightning callbacks of every fit: the progress bar, Ctrl-C."""

import signal
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from ..data.runtime.progress import progress


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
