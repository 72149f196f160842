"""The checkpoints of a run, on Lightning's ModelCheckpoint.

    RUN/training/<stage>/last.ckpt            the newest
    RUN/training/<stage>/step-000400.ckpt     with `keep` above 1: the newest ones, of which last.ckpt is a
                                              second name
    RUN/training/<stage>/best.ckpt            of the best validation by a metric (BestCheckpoint)

ModelCheckpoint names, keeps and removes files; when and how one is written is decided here, since of its own
accord it
- writes the checkpoint of a validated step before the validation, which a resumed run would make again;
- counts steps by `global_step % n`, so that a run resumed in the middle of accumulated batches saves there;
- replaces last.ckpt in two steps (remove, link), between which there is none;
- writes a sharded checkpoint in its place, so that an unfinished one is taken for whole;
- keeps whole paths in the checkpoint, so that a run folder cannot be moved.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import proxy

import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor

from ..data.runtime.files import link_tree, naming_full_disk, replacing
from .background_writing import BackgroundCheckpointIO
from .checkpoints import LAST, SecondName, WholeCheckpointIO
from .stop_signals import StopSignals
from .validation_steps import interval_of, is_planned

_UNFINISHED = f"{LAST}.unfinished"  # of a sharded one: a folder that all processes know


class WholeCheckpoint(ModelCheckpoint):
    """ModelCheckpoint whose files are written whole or not at all, sharded ones too."""

    def __init__(self, folder: Path, filename: str, monitor: str, mode: str, keep: int):
        super().__init__(
            folder, filename, monitor, save_top_k=keep, mode=mode, auto_insert_metric_name=False,
            every_n_epochs=1, enable_version_counter=False,
        )  # fmt: skip
        self.folder = folder

    @property
    def state_key(self) -> str:
        return type(self).__name__

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What is kept is read off the folder."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Epochs save nothing."""

    def _save_checkpoint(self, trainer: Trainer, filepath: str, second_name: Path | None = None) -> None:
        """Write a checkpoint; called by all processes.

        Args:
            second_name: under which it is to be found, too.
        """
        if isinstance(trainer.strategy, ModelParallelStrategy):
            self._write_sharded(trainer, Path(filepath), second_name)
        elif second_name is None or _links(trainer.strategy.checkpoint_io):
            options = None if second_name is None else SecondName(second_name)
            trainer.save_checkpoint(filepath, storage_options=options)
        else:
            trainer.save_checkpoint(filepath)
            trainer.save_checkpoint(second_name)
        self._last_global_step_saved = trainer.global_step
        self._last_checkpoint_saved = filepath
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.after_save_checkpoint(proxy(self))

    def _write_sharded(self, trainer: Trainer, path: Path, second_name: Path | None) -> None:
        unfinished = self.folder / _UNFINISHED
        with naming_full_disk(path):
            trainer.save_checkpoint(unfinished)
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            with replacing(path) as temporary:
                unfinished.rename(temporary)
            if second_name is not None:
                with replacing(second_name) as temporary:
                    link_tree(path, temporary)


class RunCheckpoint(WholeCheckpoint):
    """Keeps last.ckpt: written every so many steps or minutes, at a signal to stop, and at the end.

    Of a step that is validated at its turn it is written after the validation, which a resumed run then does
    not make again.

    Args:
        every: steps between two; None with `minutes`.
        minutes: between two, by the first process's clock.
        keep: so many of the newest.
        after: called by the first process when one is on the disk.
        export: called by all processes after every `export_every`-th.
        export_every: 0 for never.
        signals: that end the training.
    """

    def __init__(
        self,
        folder: Path,
        every: int | None = None,
        minutes: float | None = None,
        keep: int = 1,
        after: Callable[[], None] | None = None,
        export: Callable[[Trainer], None] | None = None,
        export_every: int = 0,
        signals: StopSignals | None = None,
    ):
        _check(every, minutes, keep, export_every)
        # The newest of those in the folder are the best ones by their step.
        super().__init__(folder, "step-{step:06d}", "step", "max", keep if keep > 1 else 0)
        self.save_last = True
        self.last = folder / LAST
        self.every, self.minutes = every, minutes
        self.after, self.export, self.export_every = after, export, export_every
        self.signals = signals
        self.num_saved = 0
        self.saved_at = self.step = 0
        self.is_owed = False  # `after` waits for the writing in the background
        self.waits = False  # for the end of a validation
        self.stops = self.ends = False  # a signal was heard; its checkpoint is on the disk

    def state_dict(self) -> dict[str, Any]:
        return {"num_saved": self.num_saved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.num_saved = state_dict["num_saved"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.saved_at = self.step = trainer.global_step
        self.saved_when = time.monotonic()
        self.waits = self.stops = self.ends = False
        if trainer.is_global_zero:
            shutil.rmtree(self.folder / _UNFINISHED, ignore_errors=True)  # of a run that was killed
        if self.save_top_k:
            self._take_up(trainer)
        if self.signals is not None:
            self.signals.listen(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._settle(trainer)
        if trainer.global_step == self.step:  # of accumulated batches the last one steps
            return
        self.step = trainer.global_step
        # The last step is saved here too: Lightning counts on from a checkpoint as if it was made here.
        is_last = trainer.global_step == trainer.max_steps
        self.stops = self.signals is not None and self.signals.is_asked(trainer)
        if is_last or self.stops or self._is_due(trainer):
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
        if self.ends and self.signals is not None:
            self.signals.end(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step > self.saved_at:
            self._save(trainer)
        self._settle(trainer, wait=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Nothing is saved in the middle of a step; what is being written is finished by the CheckpointIO."""

    def _save(self, trainer: Trainer) -> None:
        self.saved_at, self.saved_when = trainer.global_step, time.monotonic()
        self.num_saved += 1
        candidates = self._monitor_candidates(trainer)
        if self.save_top_k:
            self._save_topk_checkpoint(trainer, candidates)
        else:
            self._save_last_checkpoint(trainer, candidates)
        self.is_owed = True
        if self.stops:
            # Not here: the next batch does not begin before this step is logged.
            self.ends = True
            self._settle(trainer, wait=True)
            return
        if self.export is not None and self.export_every and self.num_saved % self.export_every == 0:
            # It may remove what was the best model, which a run that goes on from an earlier one would miss.
            self._settle(trainer, wait=True)
            # Lightning validates in inference mode, whose tensors no training can use.
            with torch.inference_mode(False), torch.no_grad():
                self.export(trainer)

    def _save_checkpoint(self, trainer: Trainer, filepath: str, second_name: Path | None = None) -> None:
        super()._save_checkpoint(trainer, filepath, self.last if self.save_top_k else second_name)

    def _settle(self, trainer: Trainer, wait: bool = False) -> None:
        """Call `after` if a checkpoint has reached the disk; raise what its writing has raised."""
        io = trainer.strategy.checkpoint_io
        if isinstance(io, BackgroundCheckpointIO):
            if io.is_writing and not wait:
                return
            io.wait()
        if self.is_owed:
            self.is_owed = False
            if self.after is not None and trainer.is_global_zero:
                self.after()

    def _is_due(self, trainer: Trainer) -> bool:
        if self.every is not None and trainer.global_step - self.saved_at >= self.every:
            return True
        if self.minutes is None:
            return False
        return trainer.strategy.broadcast(time.monotonic() - self.saved_when >= 60 * self.minutes)

    def _take_up(self, trainer: Trainer) -> None:
        """Know the checkpoints that are kept already, up to this step."""
        steps: dict[str, Tensor] = {}
        if trainer.is_global_zero:
            for path in sorted(self.folder.glob("step-*.ckpt")):
                number = path.stem.removeprefix("step-")
                if number.isdecimal() and int(number) <= trainer.global_step:
                    step = torch.tensor(int(number))
                    steps[self.format_checkpoint_name({"step": step})] = step
        steps = trainer.strategy.broadcast(steps)
        kept = sorted(steps, key=lambda each: int(steps[each]))
        for path in kept[: -self.save_top_k]:
            self._remove_checkpoint(trainer, path)
        self.best_k_models = {path: steps[path] for path in kept[-self.save_top_k :]}
        if len(self.best_k_models) == self.save_top_k:
            self.kth_best_model_path = kept[-self.save_top_k]
            self.kth_value = steps[self.kth_best_model_path]


class BestCheckpoint(WholeCheckpoint):
    """Keeps best.ckpt, of the best planned validation by a metric, to go on from or to export.

    Args:
        metric: its name among the logged metrics.
        mode: "min" or "max", which of its values is the best.
    """

    def __init__(self, folder: Path, metric: str, mode: str):
        super().__init__(folder, "best", metric, mode, 1)

    def state_dict(self) -> dict[str, Any]:
        return {"metric": self.monitor, "best": self.best_model_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        best = state_dict["best"] if state_dict["metric"] == self.monitor else None
        if best is not None:
            path = self.format_checkpoint_name({})
            self.best_k_models, self.kth_best_model_path, self.kth_value = {path: best}, path, best
            self.best_model_path, self.best_model_score = path, best

    def on_train_batch_end(self, *arguments: Any, **settings: Any) -> None:
        """Only validations save."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._should_skip_saving_checkpoint(trainer) and is_planned(trainer):
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The last step is saved if its validation is the best one."""


def _check(every: int | None, minutes: float | None, keep: int, export_every: int) -> None:
    if every is not None and every < 1:
        raise ValueError(f"--checkpoint_every is {every}; expected at least 1")
    if minutes is not None and not minutes > 0:
        raise ValueError(f"--checkpoint_minutes is {minutes}; expected more than 0")
    if keep < 1 or export_every < 0:
        raise ValueError(
            f"--keep_checkpoints is {keep} and --export_every {export_every}; expected at least 1 and 0"
        )


def _links(io: CheckpointIO) -> bool:
    """Whether a CheckpointIO knows second names; one that somebody has brought does not."""
    return isinstance(io.checkpoint_io if isinstance(io, BackgroundCheckpointIO) else io, WholeCheckpointIO)


def _validates(trainer: Trainer) -> bool:
    """Whether Lightning validates after the step that has just been made, at its interval.

    From a checkpoint after a validation at another step (validation_steps.py) it would count on wrongly.
    """
    loop, interval = trainer.fit_loop, interval_of(trainer)
    assert loop._data_fetcher is not None
    is_due = loop.epoch_loop._should_check_val_fx(loop._data_fetcher)
    return is_due and (interval is None or (loop.epoch_loop.total_batch_idx + 1) % interval == 0)
