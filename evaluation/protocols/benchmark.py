"""A benchmark of the literature: its task, prompts from a data set, real clips, scores and published rows.

Each is declared in a file of its own and listed in registry.py; benchmark_run.py runs it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...data.media.clip import Clip
from ...generation.prompt import Prompt
from ...tasks.conditions import Motion
from ...tasks.task import load_task


@dataclass(frozen=True)
class Footage:
    """A stretch of a real video.

    Args:
        path: its file, or a folder of pictures.
        place: where it is cut, within start and end: at the beginning, in the middle, or anywhere, as drawn.
        start, end: the part of the file that counts, in seconds.
        draw: seed of `place`.
        first_frame: of a folder of pictures, where its part begins.
    """

    path: Path
    place: Literal["start", "centre", "anywhere"] = "centre"
    start: float = 0.0
    end: float | None = None
    draw: int = 0
    first_frame: int = 0


@dataclass(frozen=True)
class Case:
    """One clip to generate: from a text, from footage, or from both."""

    text: str | None = None
    footage: Footage | None = None


@dataclass(frozen=True)
class Wanted:
    """How much of a data set is asked for.

    Args:
        cases: clips to generate; None for all that the data set has.
        real: real clips to compare with.
        seed: of whatever is drawn.
    """

    cases: int | None
    real: int
    seed: int = 0


@dataclass(frozen=True)
class Material:
    """What a data set gives: the order of the cases is the protocol's."""

    cases: Sequence[Case]
    real: Sequence[Footage]


@dataclass(frozen=True)
class Published:
    """A row of a paper's table, with where the numbers were read."""

    model: str
    scores: Mapping[str, float]
    source: str


@dataclass(frozen=True)
class Benchmark:
    """A protocol.

    Args:
        name: on the command line.
        title: for people.
        task: of the model.
        layout: of the folder that --data names.
        find: material in that folder; raises FileNotFoundError or ValueError if it is not so.
        prompt: from a case and its footage, already at the model's size.
        scores: names of measures.
        cases: clips to generate; None for all of the data set.
        set_size: generated clips of one distance.
        repeats: distances over further sets of clips, whose mean counts.
        real: real clips of a distance; 0 if none are compared.
        size: at which all clips are compared; None for the model's own.
        num_frames: compared of each clip; what a model makes beyond is left out.
        real_fps: whether real clips keep their own frame rate, or are shown at the model's.
        published: rows to stand beside.
        remarks: what differs from the paper or was not published.
    """

    name: str
    title: str
    task: str
    layout: str
    find: Callable[[Path, Wanted], Material]
    prompt: Callable[[Case, Clip | None], Prompt]
    scores: tuple[str, ...]
    set_size: int
    real: int
    cases: int | None = None
    repeats: int = 1
    size: tuple[int, int] | None = (256, 256)
    num_frames: int = 16
    real_fps: Literal["own", "model"] = "own"
    published: tuple[Published, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def needs_geometry(self) -> bool:
        """Whether the task starts from flow and depth."""
        return isinstance(load_task(self.task).conditions, Motion)
