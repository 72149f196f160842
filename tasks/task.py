"""What a task is: which codes stand in its prefix and which it generates.

A task is declared, not programmed: the order of its sequence, the loss weights, what generation may
sample and what the command line may give all follow from one `Task` (see `layout.py`). Each task is one
short file in `definitions/`, found by its name:

    definitions/text_to_video.py     TASK = Task(name="text_to_video", ...)

A task from outside the package is a file of the same kind, named by its path wherever a task is named.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Literal

from .conditions import Conditions

# What a position is, as the model sees it (a learned embedding of its index). Append only: models
# are stored with these numbers.
ROLES = (
    "structure", "resolution", "duration", "rate", "text", "video_output", "audio_output",
    "given_video", "video", "audio", "given_audio", "masked_video", "motion_video", "first_frame",
    "action", "outcome",
)  # fmt: skip

_DEFINITIONS = Path(__file__).parent / "definitions"


@dataclass(frozen=True)
class Portion:
    """A stretch in time of one grid of a clip's codes.

    Args:
        kind: decides blocks, shape and coordinates of the positions (parts.py).
        role: one of `ROLES`.
        which: the whole grid, its first latent, the given latents (`Lengths.given`) or those after them; of
            audio codes, those within the given latents or those after them.
        source: the grid's name among the clip's codes, if it is not `kind`.
    """

    kind: Literal["visual", "audio", "actions", "outcome"]
    role: str
    which: Literal["all", "first", "given", "rest"] = "all"
    source: str = ""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"role {self.role!r} is unknown; expected one of {ROLES}")
        if self.kind == "audio" and self.which == "first":
            raise ValueError("audio codes are taken whole, given or rest; their first latent is no picture")
        if self.kind in ("actions", "outcome") and self.which != "all":
            raise ValueError(f"{self.kind} codes are taken whole: they follow the latents that they stand at")

    @property
    def part(self) -> str:
        return self.source or self.kind


VIDEO_OUTPUT = Portion("visual", "video_output")
AUDIO_OUTPUT = Portion("audio", "audio_output")
ACTIONS = Portion("actions", "action")
OUTCOME = Portion("outcome", "outcome")


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
        is_interleaved: the outputs stand side by side in time, latent by latent: the actions that lead to it
            (always given), its codes, the outcomes of these actions. The first `Lengths.given` latents are
            given with all that belongs to them.
        forced_latents: leading latents of the visual output that are given rather than sampled.
        is_closed: the sequence ends with <eov_o> and <eos>; without them generation can go on.
        widens: a given video of another aspect ratio than the one asked for is shown whole, and what is left
            of the frame is painted, rather than cut.
        conditions: makes the variants of a clip that `inputs` name as their source (conditions.py).
        description: what it is for; `load_task` takes it from the docstring of the task's file.
    """

    name: str
    token: str
    outputs: tuple[Portion, ...]
    inputs: tuple[Portion, ...] = ()
    text: Literal["required", "optional", "none"] = "none"
    is_interleaved: bool = False
    forced_latents: int = 0
    is_closed: bool = True
    widens: bool = False
    conditions: Conditions | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if not self.outputs:
            raise ValueError(f"task {self.name!r} generates nothing")
        for portions in (self.inputs, self.outputs):
            kinds = [portion.kind for portion in portions if portion not in (ACTIONS, OUTCOME)]
            if kinds != sorted(kinds, reverse=True):
                raise ValueError(f"task {self.name!r} has audio before visual codes: {kinds}")
        if self.is_interleaved or self.has_actions:
            self._check_interleaved()
        if self.forced_latents and self.outputs[0].kind != "visual":
            raise ValueError(f"task {self.name!r} forces latents of a video that it does not generate")
        if self.variants and self.conditions is None:
            raise ValueError(f"task {self.name!r} takes {self.variants} and has no conditions that make them")

    def _check_interleaved(self) -> None:
        allowed = [kind for kind in ("actions", "visual", "outcome") if kind in self.parts]
        kinds = [portion.kind for portion in self.outputs]
        whole = all(portion.which == "all" and not portion.source for portion in self.outputs)
        fits = self.is_interleaved and kinds == allowed and "visual" in kinds and whole
        if not fits or self.forced_latents:
            raise ValueError(
                f"task {self.name!r} has the outputs {kinds}; actions and outcomes stand in the outputs of "
                "an interleaved task: actions, visual, outcome, the whole of each"
            )

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """What a prompt must hold, of "text", "image", "video", "audio" and "actions"."""
        media = {_medium(portion) for portion in self.inputs} | ({"image"} if self.forced_latents else set())
        media |= {"text"} if self.text == "required" else set()
        media |= ({"video"} if self.is_interleaved else set()) | ({"actions"} if self.has_actions else set())
        return tuple(name for name in ("text", "image", "video", "audio", "actions") if name in media)

    @cached_property
    def takes(self) -> tuple[str, ...]:
        """What a prompt may hold: `needs`, an optional text, and whatever else the conditions take."""
        optional = ("text",) if self.text == "optional" else ()
        return optional + self.needs + (self.conditions.takes if self.conditions is not None else ())

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """The grids of codes that come from altered frames."""
        return tuple(dict.fromkeys(portion.source for portion in self.inputs if portion.source))

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The grids of codes that a training clip must have."""
        return tuple(dict.fromkeys(portion.part for portion in (*self.inputs, *self.outputs)))

    @property
    def makes_image(self) -> bool:
        """Only the first latent of a video is generated."""
        return all(portion.which == "first" for portion in self.outputs)

    def fitting(self, latents: Sequence[int]) -> list[int]:
        """Which of a model's sizes the task can have.

        Clips of one latent are pictures: a task that makes videos has them only if there are no longer ones.

        Args:
            latents: of a clip of each size.
        """
        least = 2 if self.has_given else self.forced_latents + 1
        if not self.makes_image and max(latents) > 1:
            least = max(least, 2)
        return [size for size, count in enumerate(latents) if count >= least]

    @property
    def has_given(self) -> bool:
        """The sequence depends on a number of given latents."""
        portions = (*self.inputs, *self.outputs)
        return self.is_interleaved or any(portion.which in ("given", "rest") for portion in portions)

    @property
    def has_actions(self) -> bool:
        """Only clips of a world with actions or outcomes have all codes of the task."""
        return bool({"actions", "outcome"} & set(self.parts))


def task_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _DEFINITIONS.glob("*.py")))


def film_task_names() -> tuple[str, ...]:
    """The tasks of clips without actions, such as those of the embedded corpus or a folder of films."""
    return tuple(task.name for task in all_tasks() if not task.has_actions)


def load_task(name: str) -> Task:
    """The task of definitions/<name>.py, or of a file outside the package if `name` is its path.

    A file outside the package is code, which runs: only a path that the user wrote may come here.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if there is no such task, or the file defines none of its name.
    """
    if name.endswith(".py"):
        return _load_file(Path(name))
    if name not in task_names():
        raise ValueError(f"unknown task {name!r}; there are {', '.join(task_names())}")
    return _task_of(import_module(f"{__package__}.definitions.{name}"), name)


def all_tasks() -> tuple[Task, ...]:
    return tuple(load_task(name) for name in task_names())


def tasks_named(names: str, pads: Iterable[str] = ()) -> tuple[Task, ...]:
    """The tasks of a command line.

    Args:
        names: of tasks, or paths of files, separated by commas; or "all".
        pads: "task=pad" for those that are not to have their usual one.

    Raises:
        FileNotFoundError, ValueError: if there is no such task, or a pad is for none of them.
    """
    words = [word.strip() for word in names.split(",") if word.strip()]
    tasks = all_tasks() if words == ["all"] else tuple(load_task(word) for word in words)
    padded = {task.name: task.variants for task in tasks if "mask" in task.takes}
    settings = {}
    for name, _, pad in (each.partition("=") for each in pads):
        if name not in padded:
            known = ", ".join(padded) or "none"
            raise ValueError(f"pad is for {name!r}; expected TASK=PAD, the task one of {known}")
        settings |= {variant: {"pad": pad} for variant in padded[name]}
    return configured(tasks, settings)


def configured(tasks: Iterable[Task], variants: dict[str, dict[str, Any]]) -> tuple[Task, ...]:
    """The tasks with their conditions set as the clips' variants were made (`ClipFormat.variants`)."""
    return tuple(_configured(task, variants) for task in tasks)


def _configured(task: Task, variants: dict[str, dict[str, Any]]) -> Task:
    if task.conditions is None:
        return task
    stored = [item for name in task.variants for item in variants.get(name, {}).items()]
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in stored}
    return replace(task, conditions=replace(task.conditions, **settings))  # type: ignore[type-var]


def _load_file(path: Path) -> Task:
    if not path.is_file():
        raise FileNotFoundError(f"there is no task file {path}")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return _task_of(module, path.stem)


def _task_of(module: Any, name: str) -> Task:
    task = getattr(module, "TASK", None)
    if not isinstance(task, Task) or task.name != name:
        found = f"the task {task.name!r}" if isinstance(task, Task) else "no TASK"
        raise ValueError(f"{module.__file__} defines {found}; expected TASK = Task(name={name!r}, …)")
    return replace(task, description=(module.__doc__ or "").strip())


def _medium(portion: Portion) -> str:
    """What a prompt gives for a portion; the sound of given frames comes with them."""
    if portion.kind == "audio":
        return "audio" if portion.which == "all" else "video"
    return "image" if portion.which == "first" else "video"
