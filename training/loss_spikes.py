"""Spikes of the loss: they are named, and on request the weights go back to the last checkpoint.

    LossSpikes(SpikeSettings(factor=3, rollback=True), folder)

A loss of `factor` times the running median is a spike. A rollback puts back weights, their average and the
optimizer's state, while the data and the count of steps go on: the batches since the checkpoint are not seen
again, as Chowdhery et al. 2022 (arXiv:2204.02311, section 5.1) skip those around a spike. The steps since the
checkpoint count as spent, so that learning rates, validations and logs need no second numbering.

What happens follows from the checkpoint and the data after it. A run that is killed after a rollback goes on
from the same checkpoint, meets the same spike and goes back in the same way.
"""

import math
import statistics
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from .checkpoints import find_checkpoint
from .processes import mean_over_processes

_LEAST = 20  # losses that are needed for a median


@dataclass(frozen=True)
class SpikeSettings:
    """When a loss is a spike, and what follows.

    Args:
        factor: times the median of the losses before; 0 looks for none.
        window: steps over which the median runs.
        rollback: go back to the last checkpoint.
        max_rollbacks: of the whole training; one more ends it.
    """

    factor: float = 3.0
    window: int = 100
    rollback: bool = False
    max_rollbacks: int = 5

    def check(self) -> None:
        """Raise a ValueError if a number is out of range.

        A constructor's error would be replaced by the parser of the command line.
        """
        if self.factor and not self.factor > 1:
            raise ValueError(f"spikes.factor is {self.factor}; expected more than 1, or 0 for none")
        if self.window < _LEAST or self.max_rollbacks < 1:
            raise ValueError(
                f"spikes.window is {self.window} and max_rollbacks {self.max_rollbacks}; "
                f"expected at least {_LEAST} and 1"
            )


@runtime_checkable
class Watched(Protocol):
    """A LightningModule that says what to watch.

    Attributes:
        watched_loss: of the last batch: at least 0, and lower when more is learnt. So without the losses of a
            discriminator, and without entropies.
    """

    watched_loss: Tensor


class LossSpikes(Callback):
    """Names spikes of `watched_loss`, the mean over a step's batches and processes, and goes back if it is
    to.

    Args:
        folder: of the checkpoints.
    """

    def __init__(self, settings: SpikeSettings, folder: Path):
        settings.check()
        self.settings, self.folder = settings, folder
        self.losses: deque[float] = deque(maxlen=settings.window)
        self.rollbacks = 0
        self.is_high = False
        self.goes_back = False
        self._batches: list[Tensor] = []

    def state_dict(self) -> dict[str, Any]:
        return {"losses": list(self.losses), "rollbacks": self.rollbacks, "is_high": self.is_high}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.losses.clear()
        self.losses.extend(state_dict["losses"])
        self.rollbacks, self.is_high = state_dict["rollbacks"], state_dict["is_high"]

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        if self.settings.factor and isinstance(pl_module, Watched):
            self._batches.append(pl_module.watched_loss.detach().float())

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        # Here, where the gradients' norm is read too: anywhere else a GPU would be waited for once more.
        if self._batches:
            loss = float(mean_over_processes(torch.stack(self._batches).mean()))
            self._batches = []
            self._judge(loss, trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.goes_back:
            self.goes_back = False
            self._roll_back(trainer, pl_module)

    def _judge(self, loss: float, trainer: Trainer) -> None:
        if not math.isfinite(loss):
            return  # such a step is skipped
        median = statistics.median(self.losses) if len(self.losses) >= _LEAST else math.inf
        was_high, self.is_high = self.is_high, loss > self.settings.factor * median
        self.losses.append(loss)
        if self.is_high and (self.settings.rollback or not was_high):
            self.goes_back = self.settings.rollback
            times = f"{loss / median:.1f} times the median of before ({median:.4g})"
            _say(trainer, f"the loss is {loss:.4g}, {times}")
        elif was_high and not self.is_high:
            _say(trainer, f"the loss is {loss:.4g} again")

    def _roll_back(self, trainer: Trainer, module: LightningModule) -> None:
        found = find_checkpoint(self.folder).path if trainer.is_global_zero else None
        path: Path | None = trainer.strategy.broadcast(found)
        if path is None:
            _say(trainer, "there is no checkpoint yet to go back to")
            return
        if self.rollbacks == self.settings.max_rollbacks:
            raise ValueError(
                f"the loss rose to {self.settings.factor:g} times its median again at step "
                f"{trainer.global_step}, after {self.rollbacks} rollbacks: lower the learning rate, or raise "
                "spikes.factor or spikes.max_rollbacks, and go on from last.ckpt"
            )
        self.rollbacks += 1
        restore_weights(trainer, module, path)
        _say(trainer, f"weights are those of {path} again (rollback {self.rollbacks}); the data go on")


def restore_weights(trainer: Trainer, module: LightningModule, checkpoint: Path) -> None:
    """Put back what a checkpoint holds of the network and its optimizer, and nothing else of the training.

    Learning rates stay those of the schedule at this step. Called by all processes.
    """
    strategy = trainer.strategy
    found = strategy.load_checkpoint(checkpoint, weights_only=True)  # a sharded one is loaded here
    module.on_load_checkpoint(found)
    strategy.load_model_state_dict(found, strict=module.strict_loading)
    if strategy.lightning_restore_optimizer:
        strategy.load_optimizer_state_dict(found)
    for each in trainer.lr_scheduler_configs:
        groups = each.scheduler.optimizer.param_groups
        for group, rate in zip(groups, each.scheduler.get_last_lr(), strict=True):
            group["lr"] = rate


def _say(trainer: Trainer, line: str) -> None:
    if trainer.is_global_zero:
        print(f"step {trainer.global_step:,}: {line}", flush=True)
