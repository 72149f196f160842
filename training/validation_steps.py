"""When a training is validated: at its interval, at its last step, and once early, to see that it works.

The early validation comes at the first step after 90 seconds, so within two minutes on any machine; a number
of steps would be seconds on one and an hour on another. As its step depends on the machine, nothing follows
from it: it is no candidate for the best model, and it puts back all random generators, from which Lightning's
loaders draw when they begin. With several processes the first one's clock decides for all.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.seed import isolate_rng

_EARLY_SECONDS = 90.0
# A validation that is due so soon anyway is waited for.
_WAIT_SECONDS = 30.0


def interval_of(trainer: Trainer) -> int | None:
    """Batches between two validations of a training that is validated more than once by its number of steps.

    None of others: those that are validated once, never, by epochs or by the clock stay as they are.
    """
    interval = trainer.val_check_interval
    if trainer.check_val_every_n_epoch is not None or type(interval) is not int:
        return None
    if not trainer.enable_validation:
        return None
    batches = trainer.max_steps * trainer.accumulate_grad_batches
    return interval if trainer.max_steps < 0 or batches >= 2 * interval else None


def is_planned(trainer: Trainer) -> bool:
    """Whether this step is validated whatever the machine: at the interval, or as the last one."""
    interval = interval_of(trainer)
    if interval is None:
        return False
    return _batches(trainer) % interval == 0 or trainer.global_step == trainer.max_steps


class ValidationSteps(Callback):
    """Adds the early validation and that of the last step to those at the interval.

    Args:
        seconds: of training after which the early one comes.
        clock: seconds that go on.
    """

    def __init__(self, seconds: float = _EARLY_SECONDS, clock: Callable[[], float] = time.monotonic):
        self.seconds, self.clock = seconds, clock
        self.is_validated = False
        self.step = 0
        self.own_generators: AbstractContextManager[None] | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"is_validated": self.is_validated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.is_validated = state_dict["is_validated"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began, self.begin = self.clock(), trainer.global_step
        self.step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        interval = interval_of(trainer)
        if interval is None or trainer.global_step == self.step:  # of accumulated batches the last one steps
            return
        self.step = trainer.global_step
        if _batches(trainer) % interval == 0:
            self.is_validated = True
        elif trainer.global_step == trainer.max_steps:
            trainer.val_check_batch = _batches(trainer)
        elif not self.is_validated and trainer.strategy.broadcast(self._is_time(trainer, interval)):
            self.is_validated = True
            # Lightning validates after each batch whose number this divides: after this one.
            trainer.val_check_batch = _batches(trainer)
            self.own_generators = isolate_rng()
            self.own_generators.__enter__()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (interval := interval_of(trainer)) is not None:
            trainer.val_check_batch = interval
        if self.own_generators is not None:
            self.own_generators.__exit__(None, None, None)
            self.own_generators = None

    def _is_time(self, trainer: Trainer, interval: int) -> bool:
        elapsed = self.clock() - self.began
        if elapsed < self.seconds:
            return False
        pace = elapsed / (trainer.global_step - self.begin) / trainer.accumulate_grad_batches
        return (interval - _batches(trainer) % interval) * pace > _WAIT_SECONDS


def validate_now(trainer: Trainer) -> None:
    """Validate before the first step of a training that goes on, as Lightning does between two steps."""
    loop = trainer.fit_loop.epoch_loop
    loop.val_loop.restarting = False
    trainer.validating = True
    loop.val_loop.run()
    trainer.training = True


def _batches(trainer: Trainer) -> int:
    """That the training has seen, of all its epochs."""
    return trainer.fit_loop.epoch_loop.total_batch_idx + 1
