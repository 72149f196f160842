"""scores.json of a model folder: what evaluations found, by date, protocol and settings.

It stands outside the model's fingerprint and checksums. Each entry keeps the fingerprint of the model that it
is of, so scores of former weights are not taken for those of the present ones.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..data.runtime.files import read_object, write_json
from ..data.runtime.typed_fields import check_fields, from_fields

SCORES = "scores.json"


@dataclass(frozen=True)
class ModelScore:
    """One number of an evaluation.

    Args:
        name: of what was measured.
        value: None if it was not computed.
        chance: what a model that ignores its prompt reaches.
        ceiling: what the tokenizers allow.
    """

    name: str
    value: float | None = None
    chance: float | None = None
    ceiling: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Evaluation:
    """The scores of a model by one protocol.

    Args:
        protocol: its name.
        date: of the evaluation, such as 2026-11-30.
        model_fingerprint: of the model folder then.
        settings: that the scores depend on beside the model.
    """

    protocol: str
    date: str
    model_fingerprint: str
    settings: dict[str, Any] = field(default_factory=dict)
    scores: tuple[ModelScore, ...] = ()

    @property
    def key(self) -> str:
        """What it is stored by: one of the same protocol and settings on the same day takes its place."""
        told = json.dumps([self.settings, self.model_fingerprint], sort_keys=True, default=str)
        return f"{self.date} {self.protocol} {hashlib.sha256(told.encode()).hexdigest()[:8]}"


def read_scores(folder: Path) -> dict[str, Evaluation]:
    """The evaluations of a model folder by their keys, in order.

    Raises:
        ValueError: if the file holds something else.
    """
    path = folder / SCORES
    if not path.is_file():
        return {}
    found = {}
    for key, stored in read_object(path).items():
        rows = stored.pop("scores", None) if isinstance(stored, dict) else None
        if not isinstance(rows, list):
            raise ValueError(f"{path} is damaged: {key[:60]!r} has no list of scores")
        scores = tuple(from_fields(ModelScore, row, str(path)) for row in rows)
        found[key] = replace(from_fields(Evaluation, stored, str(path)), scores=scores)
    return dict(sorted(found.items()))


def add_scores(folder: Path, evaluation: Evaluation) -> None:
    """Put an evaluation beside those that a model folder has.

    Raises:
        OSError, ValueError: if the folder cannot be written, or scores.json holds something else.
    """
    with _alone(folder):
        stored = read_scores(folder) | {evaluation.key: evaluation}
        write_json(folder / SCORES, {key: asdict(each) for key, each in sorted(stored.items())})


def scores_of(folder: Path, fingerprint: str) -> Mapping[str, Evaluation]:
    """The evaluations of the weights that are in a folder now."""
    return {key: each for key, each in read_scores(folder).items() if each.model_fingerprint == fingerprint}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for other processes that add scores."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # a file system without locks of folders: the last writer wins
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
