"""What a training says of itself: how much it is about to do, how long that takes, and when it goes wrong."""

import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

from ..data.loading.training_amount import TrainingAmount
from ..data.runtime.progress import clock
from .best_model import BestModel
from .findings import Findings, Means, caption_lines
from .footprint import checkpoint_bytes, peak_bytes
from .run_logs import means_of
from .validation_steps import interval_of
from .validations import Quality, Validation

_REHEARSED, _TIMED = 3, 20  # steps: the first ones are slower, and the pace is measured up to this one
_UNITS = {"numbers": ((1e9, "B"), (1e6, "M")), "bytes": ((1e9, "G"), (1e6, "M"), (1e3, "k"))}
_PATIENCE = 40.0  # seconds after which slower steps are enough


class RunNews(Callback):
    """Prints, by the first process alone, what a training does; what it found is in `findings`.

    Args:
        name: of the stage.
        amount: for so many processes, how much there is to train on.
        best: holds the record of validations; stands before this among the callbacks.
    """

    def __init__(self, name: str, amount: Callable[[int], TrainingAmount], best: BestModel):
        self.name, self.amount, self.best = name, amount, best
        self.has_warned, self.has_shown = False, False
        self.timed_from: float | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"has_warned": self.has_warned}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.has_warned = state_dict["has_warned"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.begin, self.timed_from = trainer.global_step, None
        if trainer.is_global_zero:
            weights = sum(each.numel() for each in pl_module.parameters() if each.requires_grad)
            amount = self.amount(trainer.world_size)
            for line in opening(amount, steps_of(trainer), trainer, weights):
                self._say(line)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        done = trainer.global_step - self.begin
        if not trainer.is_global_zero or done > _TIMED:
            return
        if done == _REHEARSED and self.timed_from is None:
            self.timed_from = time.monotonic()
        elif done > _REHEARSED and self.timed_from is not None:
            elapsed = time.monotonic() - self.timed_from
            if done == _TIMED or elapsed > _PATIENCE:
                self.timed_from = None
                self._say_costs(trainer, pl_module, elapsed / (done - _REHEARSED))

    def _say_costs(self, trainer: Trainer, module: LightningModule, seconds: float) -> None:
        left = steps_of(trainer) - trainer.global_step
        if math.isfinite(left):
            self._say(pace(seconds, round(left), datetime.now()))
        self._say(footprint(peak_bytes(module.device), checkpoint_bytes(module, trainer.optimizers)))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
        for line in validated(scores, self.best.quality, self._pictures(trainer)):
            self._say(f"step {trainer.global_step:,}: {line}")
        warning = None if self.has_warned else self.findings(trainer).warning()
        if warning is not None:
            self.has_warned = True
            self._say(warning)

    def findings(self, trainer: Trainer) -> Findings:
        """What the validations so far show; of a training that keeps no record, the last one."""
        validations = self.best.validations
        if not validations:
            scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
            validations = [Validation(trainer.global_step, scores)]
        begins = [0, *(each.step for each in validations[:-1])]
        logger = next((each for each in trainer.loggers if isinstance(each, CSVLogger)), None)
        train: Sequence[Means] = [
            {} if logger is None else means_of(logger, begin, each.step)
            for begin, each in zip(begins, validations, strict=True)
        ]
        return Findings(self.best.quality, validations, train)

    def _pictures(self, trainer: Trainer) -> Path | None:
        """Where pictures are, the first time that there are some."""
        folder = Path(trainer.default_root_dir) / "samples"
        if self.has_shown or not folder.is_dir():
            return None
        self.has_shown = True
        return folder

    def _say(self, line: str) -> None:
        print(f"{self.name}: {line}", flush=True)


def opening(amount: TrainingAmount, steps: float, trainer: Trainer, weights: int) -> list[str]:
    """What a training is about to do."""
    begin = trainer.global_step
    each = "" if trainer.world_size == 1 else f" on each of {trainer.world_size} processes"
    lines = [f"{amount}{each}; {_short(weights)} parameters"]
    length = "steps until it is stopped" if not math.isfinite(steps) else f"{steps:,.0f} steps"
    if amount.steps_a_pass is not None and math.isfinite(steps):
        passes = steps * trainer.accumulate_grad_batches / amount.steps_a_pass
        seen = f"each clip is seen {passes:,.0f} times" if passes >= 1.5 else f"{passes:.0%} of the clips"
        length += f": {seen}"
    if begin:
        length = f"step {begin:,} of {length}"
    interval = interval_of(trainer)
    if interval is not None:
        every = interval // trainer.accumulate_grad_batches
        length += f"; validated every {every:,} steps" + ("" if begin else ", and soon for the first time")
    return [*lines, length]


def validated(scores: Means, quality: Quality, pictures: Path | None) -> list[str]:
    """What a validation has found."""
    lines = []
    if quality.metric in scores:
        score = f"{scores[quality.metric]:.2f} {quality.unit}".rstrip()
        where = f"; pictures in {pictures}" if pictures is not None else ""
        lines.append(f"{quality.words} of held-out clips {score}{where}")
    return lines + caption_lines(scores)


def pace(seconds: float, steps_left: int, now: datetime) -> str:
    """How long the rest takes at so many seconds a step."""
    left = seconds * steps_left
    end = now + timedelta(seconds=left)
    when = end.strftime("%H:%M") if end.date() == now.date() else end.strftime("%Y-%m-%d %H:%M")
    rest = f"{steps_left:,} steps to go take about {clock(left)}, until {when}, and validations"
    return f"{seconds:.2g} s a step: {rest}"


def footprint(memory: int, checkpoint: int) -> str:
    """Memory of this process so far, at its most, and how large a checkpoint is."""
    held, written = (f"{_short(each, 'bytes')}B" for each in (memory, checkpoint))
    return f"{held} of memory at most so far; a checkpoint is about {written}"


def steps_of(trainer: Trainer) -> float:
    """Steps of the whole training; infinite if it has no end."""
    return trainer.max_steps if trainer.max_steps > 0 else trainer.estimated_stepping_batches


def _short(count: int, letters: Literal["numbers", "bytes"] = "numbers") -> str:
    for size, letter in _UNITS[letters]:
        if count >= size:
            return f"{count / size:.1f} {letter}"
    return f"{count:,}"
