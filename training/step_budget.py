"""How many steps a training has whose config counts passes over the clips: more clips, more steps.

    steps: {passes: 40, least: 1000, most: 5000}

The number is that of the beginning: a training that goes on keeps it, also when clips were added since.
"""

from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from ..data.runtime.files import read_object, write_json

# A schedule that a config made for many steps takes at most these shares of few: of the learning rate's rise,
# and of the annealing of the tokenizer's entropy loss.
_LONGEST = {"warmup_steps": 0.05, "entropy_steps": 0.3}
_FILE = "steps.json"


@dataclass(frozen=True)
class StepBudget:
    """Steps by the number of clips; `trainer.max_steps`, where it is given, counts instead.

    Args:
        passes: how often each clip is to be seen.
        least: steps, however few clips there are.
        most: steps, however many clips there are.
        validations: in the whole training, unless `trainer.val_check_interval` is given.
    """

    passes: float = 40.0
    least: int = 1000
    most: int = 5000
    validations: int = 10

    def check(self) -> None:
        """Raise a ValueError if a number is out of range.

        A constructor's error would be replaced by the parser of the command line.
        """
        if not (isfinite(self.passes) and self.passes > 0 and 1 <= self.least <= self.most):
            raise ValueError(
                f"steps is {asdict(self)}; expected passes above 0 and least from 1 to most"
            )
        if self.validations < 1:
            raise ValueError(f"steps.validations is {self.validations}; expected 1 or more")

    def steps(self, steps_a_pass: float | None) -> int:
        """The length of a training whose clips are all seen in so many steps; `most` if they never repeat."""
        wanted = self.most if steps_a_pass is None else round(self.passes * steps_a_pass)
        return min(max(wanted, self.least), self.most)

    def interval(self, steps: int) -> int:
        """Steps between two validations."""
        return max(steps // self.validations, 1)


def kept_steps(folder: Path, budget: StepBudget, steps_a_pass: float | None, *, goes_on: bool) -> int:
    """The steps of the training in a folder: those it began with if it goes on with the same budget.

    Args:
        goes_on: there is a checkpoint to go on from.

    Raises:
        ValueError: if the record in the folder is damaged.
    """
    path = folder / _FILE
    if goes_on and path.is_file():
        record = read_object(path)
        if record.get("steps") == asdict(budget):
            if type(record.get("max_steps")) is not int or record["max_steps"] < 1:
                raise ValueError(f"{path} is damaged: max_steps is {record.get('max_steps')!r}")
            return record["max_steps"]
    return budget.steps(steps_a_pass)


def keep_steps(folder: Path, budget: StepBudget, steps: int) -> None:
    """Put the steps of the training in a folder on record."""
    write_json(folder / _FILE, {"steps": asdict(budget), "max_steps": steps})


def shorten_schedules(module: Any, steps: int) -> None:
    """Fit the warm-up and the annealing of a LightningModule into so many steps."""
    for name, share in _LONGEST.items():
        if hasattr(module, name):
            setattr(module, name, min(getattr(module, name), max(int(share * steps), 1)))
