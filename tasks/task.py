"""What a task is: which codes stand in its prefix and which it generates.

A task is declared, not programmed: the order of its sequence, the loss weights, what generation may
sample and what the command line may give all follow from one `Task` (see `layout.py`). Each task is one
short file in `definitions/`, found by its name:

    definitions/text_to_video.py     TASK = Task(name="text_to_video", ...)
"""

from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Literal

# What a position is, as the model sees it (a learned embedding of its index). Append only: models
# are stored with these numbers.
ROLES = (
    "structure", "resolution", "duration", "rate", "text", "video_output", "audio_output",
    "given_video", "video", "audio",
)  # fmt: skip

_DEFINITIONS = Path(__file__).parent / "definitions"


@dataclass(frozen=True)
class Portion:
    """A stretch in time of one grid of a clip's codes.

    Args:
        kind: decides block, shape and coordinates of the positions.
        role: one of `ROLES`.
        which: the whole grid, its first latent, the given latents (`Lengths.given`) or those after them.
        source: the grid's name among the clip's codes, if it is not `kind`.
    """

    kind: Literal["visual", "audio"]
    role: str
    which: Literal["all", "first", "given", "rest"] = "all"
    source: str = ""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"role {self.role!r} is unknown; expected one of {ROLES}")
        if self.kind == "audio" and self.which != "all":
            raise ValueError(f"audio codes are taken whole, not {self.which!r}: a codec need not be causal")

    @property
    def part(self) -> str:
        return self.source or self.kind


VIDEO_OUTPUT = Portion("visual", "video_output")
AUDIO_OUTPUT = Portion("audio", "audio_output")


@dataclass(frozen=True)
class Task:
    """One kind of sequence.

    Args:
        name: the name of its file.
        token: the special token after <bos>; tasks with the same output share it (Kondratyuk et al.
            2024, arXiv:2312.14125, Table 4).
        text: whether a text stands in the prefix.
        inputs: codes in the prefix, in order; visual before audio.
        outputs: codes that are generated, in order; visual before audio.
        forced_latents: leading latents of the visual output that are given rather than sampled.
        is_closed: the sequence ends with <eov_o> and <eos>; without them generation can go on.
        description: what it is for; `load_task` takes it from the docstring of the task's file.
    """

    name: str
    token: str
    outputs: tuple[Portion, ...]
    inputs: tuple[Portion, ...] = ()
    text: Literal["required", "optional", "none"] = "none"
    forced_latents: int = 0
    is_closed: bool = True
    description: str = ""

    def __post_init__(self) -> None:
        if not self.outputs:
            raise ValueError(f"task {self.name!r} generates nothing")
        for portions in (self.inputs, self.outputs):
            kinds = [portion.kind for portion in portions]
            if kinds != sorted(kinds, reverse=True):
                raise ValueError(f"task {self.name!r} has audio before visual codes: {kinds}")
        if self.forced_latents and self.outputs[0].kind != "visual":
            raise ValueError(f"task {self.name!r} forces latents of a video that it does not generate")

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """What a prompt must hold, of "text", "image", "video" and "audio"."""
        media = ("image",) if self.forced_latents else ()
        media += tuple({"visual": "video", "audio": "audio"}[portion.kind] for portion in self.inputs)
        return (("text",) if self.text == "required" else ()) + tuple(dict.fromkeys(media))

    @cached_property
    def takes(self) -> tuple[str, ...]:
        """What a prompt may hold: `needs` and an optional text."""
        return (("text",) if self.text == "optional" else ()) + self.needs

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The grids of codes that a training clip must have."""
        return tuple(dict.fromkeys(portion.part for portion in (*self.inputs, *self.outputs)))

    @property
    def has_given(self) -> bool:
        """The sequence depends on a number of given latents."""
        return any(portion.which in ("given", "rest") for portion in (*self.inputs, *self.outputs))


def task_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _DEFINITIONS.glob("*.py")))


def load_task(name: str) -> Task:
    """The task of definitions/<name>.py.

    Raises:
        ValueError: if there is no such file.
    """
    if name not in task_names():
        raise ValueError(f"unknown task {name!r}; there are {', '.join(task_names())}")
    module = import_module(f"{__package__}.definitions.{name}")
    assert module.TASK.name == name, f"definitions/{name}.py defines the task {module.TASK.name!r}"
    return replace(module.TASK, description=(module.__doc__ or "").strip())


def all_tasks() -> tuple[Task, ...]:
    return tuple(load_task(name) for name in task_names())
