"""The record of a training's validations: which was the best, and whether they have become worse.

It stands in validations.json beside last.ckpt, not in it: the checkpoint of a step is written before the
validation of that step, and a training that goes on from there would not know how it ended.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..data.runtime.files import read_json, write_json

FILE = "validations.json"


@dataclass(frozen=True)
class Quality:
    """The score by which validations are compared.

    Args:
        metric: its name among the logged metrics.
        words: what it is, for a reader.
        unit: of it.
        rises: a higher score is better.
        noise: differences up to this say nothing, in its unit.
        compared: names of a metric of training and the same one of validation; a name that ends in "/" is of
            all metrics that begin with it.
        gap: a difference of these above this says that the training clips are learnt by heart.
        picks: the best validation is that of the best model. Not so where something else is trained beside
            what the score measures: a discriminator makes frames sharper and PSNR lower.
        since: step up to which validations measure something else, and do not count.
    """

    metric: str
    words: str
    unit: str
    rises: bool
    noise: float
    compared: tuple[str, str]
    gap: float
    picks: bool = True
    since: int = 0

    def gain(self, before: float, after: float) -> float:
        """How much better the second score is."""
        return after - before if self.rises else before - after

    def levels(self, train: Mapping[str, float], scores: Mapping[str, float]) -> tuple[float, float] | None:
        """Mean of the compared metrics in training and in validation; None if none is in both."""
        own, held_out = self.compared
        names = [name for name in train if name == own or (own.endswith("/") and name.startswith(own))]
        pairs = [(train[name], scores.get(held_out + name[len(own) :], math.nan)) for name in names]
        pairs = [pair for pair in pairs if all(map(math.isfinite, pair))]
        if not pairs:
            return None
        return sum(each for each, _ in pairs) / len(pairs), sum(each for _, each in pairs) / len(pairs)


@dataclass(frozen=True)
class Validation:
    """One validation: after how many steps, and all its scores by name."""

    step: int
    scores: dict[str, float]


def read_validations(folder: Path, last_step: int) -> list[Validation]:
    """Those on record up to a step, in their order.

    Raises:
        ValueError: if the record is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    found = read_json(path)
    if not isinstance(found, list):
        raise ValueError(f"{path} is damaged: it holds no list of validations")
    return [each for row in found if (each := _validation(row, path)).step <= last_step]


def write_validations(folder: Path, validations: list[Validation]) -> None:
    rows = [{"step": each.step, "scores": each.scores} for each in validations]
    write_json(folder / FILE, rows)


def best_of(validations: list[Validation], quality: Quality) -> Validation | None:
    """The best validation, of equal ones the first; None if none counts."""
    counting = scored(validations, quality)
    if not counting:
        return None
    sign = 1 if quality.rises else -1
    return max(counting, key=lambda each: sign * each.scores[quality.metric])


def scored(validations: list[Validation], quality: Quality) -> list[Validation]:
    """Those that count: after `since`, with a finite score."""
    return [
        each
        for each in validations
        if each.step > quality.since and math.isfinite(each.scores.get(quality.metric, math.nan))
    ]


def has_become_worse(validations: list[Validation], quality: Quality, patience: int) -> bool:
    """Whether the last `patience` validations are all worse than the best, the last by more than noise."""
    counting, best = scored(validations, quality), best_of(validations, quality)
    if best is None or best in counting[-patience:]:
        return False
    return quality.gain(counting[-1].scores[quality.metric], best.scores[quality.metric]) > quality.noise


def _validation(row: object, path: Path) -> Validation:
    step, scores = (row.get("step"), row.get("scores")) if isinstance(row, dict) else (None, None)
    if type(step) is not int or not isinstance(scores, dict):
        raise ValueError(f"{path} is damaged: {str(row)[:80]} is no validation")
    if not all(isinstance(value, int | float) for value in scores.values()):
        raise ValueError(f"{path} is damaged: the scores of step {step} are no numbers")
    return Validation(step, {name: float(value) for name, value in scores.items()})
