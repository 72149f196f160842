"""The best model of a training: its part of the model folder, kept whenever a validation is the best so far.

    RUN/training/<stage>/validations.json           every planned validation (validations.py)
    RUN/training/<stage>/best/step-001500/<part>    the model of the best one, as it would be exported then

last.ckpt stays the last step, from which a training goes on. One that goes on from a checkpoint takes up the
record as it was at that step, so that it ends with the model of a training that was never stopped.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from ..data.runtime.files import replacing
from .validation_steps import interval_of, is_planned, validate_now
from .validations import FILE, Quality, Validation, best_of, read_validations, write_validations

_PREFIXES = ("val/", "validation/")


class BestModel(Callback):
    """Keeps the record of the validations and the model of the best one.

    Args:
        folder: of the stage in the run.
        part: what the module's `export` writes into a model folder.
        quality: by which validations are compared.
        keeps: the model of the best validation is exported; otherwise that of the last step.

    Attributes:
        validations: on record, up to now.
    """

    def __init__(self, folder: Path, part: str, quality: Quality, keeps: bool = True):
        self.folder, self.part, self.quality = folder, part, quality
        self.keeps = keeps and quality.picks
        self.validations: list[Validation] = []
        self.is_ready = False

    def forget(self) -> None:
        """Drop the record: what is validated on has changed."""
        (self.folder / FILE).unlink(missing_ok=True)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take_up(trainer)
        if self._lacks_this_step(trainer):
            validate_now(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or not self.is_ready or not self._lacks_this_step(trainer):
            return
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        scores = {name: value for name, value in sorted(found.items()) if name.startswith(_PREFIXES)}
        self.validations.append(Validation(trainer.global_step, trainer.strategy.broadcast(scores)))
        if self.keeps and trainer.strategy.broadcast(self.best is self.validations[-1]):
            # Lightning validates in inference mode, whose tensors no training can use.
            with torch.inference_mode(False), torch.no_grad():
                pl_module.export(self._model_of(trainer.global_step))  # pyright: ignore[reportCallIssue]
        if trainer.is_global_zero:
            write_validations(self.folder, self.validations)

    @property
    def best(self) -> Validation | None:
        """The best validation, of those whose models are kept if there are to be any."""
        kept = [each for each in self.validations if not self.keeps or self._is_kept(each)]
        latest = self.validations[-1:]
        return best_of([*kept, *(each for each in latest if each not in kept)], self.quality)

    def finish(self, trainer: Trainer, module: LightningModule, data: LightningDataModule) -> None:
        """Validate the last step if a training was killed in that validation; called when no step is left."""
        self._take_up(trainer)
        if self._lacks_this_step(trainer):
            trainer.validate(module, data, verbose=False)

    def export(self, trainer: Trainer, module: Any, model_folder: Path) -> int:
        """Write the part of the model folder; called by all processes.

        Returns:
            the step that it is of.
        """
        if trainer.is_global_zero:
            self.prune()
        best = self.best if self.keeps else None
        is_kept = best is not None and self._is_kept(best)
        step = trainer.strategy.broadcast(best.step if best is not None and is_kept else trainer.global_step)
        if step == trainer.global_step:
            module.export(model_folder)
        elif trainer.is_global_zero:
            with replacing(model_folder / self.part) as temporary:
                shutil.copytree(self._model_of(step) / self.part, temporary)
        return step

    def prune(self) -> None:
        """Remove all models but the best one: no checkpoint from which another would be the best is left."""
        best = self.best
        for each in (self.folder / "best").glob("step-*"):
            if best is None or each != self._model_of(best.step):
                shutil.rmtree(each)

    def _take_up(self, trainer: Trainer) -> None:
        if not self.is_ready:
            found = read_validations(self.folder, trainer.global_step) if trainer.is_global_zero else []
            self.validations = trainer.strategy.broadcast(found)
            self.is_ready = True

    def _lacks_this_step(self, trainer: Trainer) -> bool:
        """This step is validated, and there is no record of it."""
        if trainer.global_step == 0 or interval_of(trainer) is None or not is_planned(trainer):
            return False
        return all(each.step != trainer.global_step for each in self.validations)

    def _is_kept(self, validation: Validation) -> bool:
        return (self._model_of(validation.step) / self.part).is_dir()

    def _model_of(self, step: int) -> Path:
        return self.folder / "best" / f"step-{step:06d}"
