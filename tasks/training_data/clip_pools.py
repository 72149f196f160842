"""Which clips a task learns from: those that have its codes and captions, less the held-out ones."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

import numpy as np
from jaxtyping import Bool, Int64

from ...data.codes.clip_format import ClipFormat
from ...data.sources.held_out import deciding_numbers, is_held_out
from ..task import Task
from .coded_clips import SizedClips
from .mixture import Mixture

Numbers = Int64[np.ndarray, "_"]  # of clips


class Pools:
    """The clips that each task learns from, those of each size for themselves.

    Attributes:
        of: task's name, number of a size -> numbers of clips.
        sizes: for each size, how many clips some task learns from.
        shown: numbers of the clips that some task learns from.

    Raises:
        ValueError: if no clip has what a task needs.
    """

    def __init__(self, clips: SizedClips, indices: Numbers, mixture: Mixture):
        found = {task.name: usable(clips, indices, task) for task in mixture.tasks}
        for task in mixture.tasks:
            if not len(found[task.name]):
                needs = " and ".join(_needs(task)) + _way_out(mixture, found)
                raise ValueError(f"no clip has what task {task.name} needs: {needs}")
        self.of: dict[tuple[str, int], Numbers] = {}
        is_shown, distinct = np.zeros(len(clips), bool), dict[bytes, Numbers]()
        for name, numbers in found.items():
            is_shown[numbers] = True
            sizes = clips.sizes_of(numbers)
            for size in np.unique(sizes).tolist():
                own = numbers[sizes == size]
                # Most tasks learn from the same clips: these are kept once.
                self.of[name, size] = distinct.setdefault(sha256(own.tobytes()).digest(), own)
        self.shown = np.flatnonzero(is_shown)
        self.sizes = np.bincount(clips.sizes_of(self.shown), minlength=len(clips.formats)).tolist()

    def sizes_of(self, task: Task) -> list[int]:
        """The sizes of which a task has clips."""
        return [size for size in range(len(self.sizes)) if (task.name, size) in self.of]

    def served(self, tasks: Sequence[Task]) -> Bool[np.ndarray, "tasks sizes"]:
        """Whether each task has clips of each size."""
        sizes = range(len(self.sizes))
        return np.array([[size in self.sizes_of(task) for size in sizes] for task in tasks])


def usable(clips: SizedClips, indices: Numbers | Sequence[int], task: Task) -> Numbers:
    """The clips that have what a task needs: a fitting size, all its codes, a caption if it must have one."""
    indices = np.asarray(indices, np.int64)
    fitting = task.fitting([each.grid[0] for each in clips.formats])
    with_codes = [size for size in fitting if set(task.parts) <= clips.formats[size].shapes.keys()]
    is_usable = np.isin(clips.sizes_of(indices), with_codes)
    if "audio" in task.parts:
        is_usable &= clips.columns.has_audio[indices]
    if task.text == "required":
        is_usable &= clips.columns.has_text[indices]
    return indices[is_usable]


def texts(clips: SizedClips, index: int) -> list[str]:
    """All captions of a clip, a captioner's last."""
    long_caption = clips.long_caption(index)
    return [*clips.captions(index), *([long_caption] if long_caption else [])]


def first_caption(clips: SizedClips, index: int) -> str | None:
    return next(iter(texts(clips, index)), None)


def divided(clips: SizedClips, share: float, at_most: int, seed: int) -> tuple[Numbers, list[int]]:
    """Numbers of the clips to train on and of those to validate on; all windows of a file are on one side.

    Of files the sides follow from groups or paths (data/sources/held_out.py), of the embedded corpus from the
    seed.

    Args:
        share: of the files or groups that is held out; of the corpus, of its clips.
        at_most: clips of files to validate on. Files beyond are trained on, windows beyond on neither side.

    Raises:
        ValueError: if there are not two files or groups to divide.
    """
    columns = clips.columns
    of_files = bool((columns.path != 0).all())
    if of_files:
        keys = deciding_numbers(columns.group, columns.path)
        outside = is_held_out(keys, share, at_most, clips.source_of)
    else:
        sources = [clips.source_of(index) for index in range(len(clips))]
        chosen = _held_out_of_corpus(set(sources), share, seed)
        outside = np.array([source in chosen for source in sources])
    validation = np.flatnonzero(outside)
    if of_files and len(validation) > at_most:
        validation = validation[spread(len(validation), at_most)]
    return np.flatnonzero(~outside), validation.tolist()


def spread(count: int, at_most: int) -> Numbers:
    """So many of `count` numbers, evenly spread."""
    return np.arange(count) if count <= at_most else np.arange(at_most) * count // at_most


def shares_of_sizes(formats: Sequence[ClipFormat], sizes: dict[str, float] | None) -> list[float] | None:
    """How often each size is drawn, if it is said."""
    if sizes is None:
        return None
    names = [clips.name for clips in formats]
    if sorted(sizes) != sorted(names) or min(sizes.values()) <= 0:
        raise ValueError(f"sizes is {sizes}; expected a positive share for each of {', '.join(names)}")
    return [sizes[name] for name in names]


def _held_out_of_corpus(sources: set[str], share: float, seed: int) -> set[str]:
    if len(sources) < 2:
        raise ValueError(f"there are {len(sources)} clips; at least 2 are needed, one of them held out")
    ranked = sorted(sources, key=lambda source: sha256(f"{seed} {source}".encode()).digest())
    return set(ranked[: min(max(round(share * len(ranked)), 1), len(ranked) - 1)])


def _way_out(mixture: Mixture, found: Mapping[str, Numbers]) -> str:
    """What to say for the tasks that can be learnt, if any, with their weights relative to the least."""
    shares = zip(mixture.tasks, mixture.shares, strict=True)
    possible = {task.name: share for task, share in shares if len(found[task.name])}
    weights = ", ".join(f"{name}: {share / min(possible.values()):g}" for name, share in possible.items())
    return f"; for the others say --data.tasks '{{{weights}}}'" if possible else ""


def _needs(task: Task) -> list[str]:
    captions = ["a caption"] if task.text == "required" else []
    encoded = [f"{name} codes (videolm encode --tasks {task.name})" for name in task.variants]
    source = " (videolm record, or clips with a list of actions)"
    plain = [
        f"{part} codes" + source * (part == "actions") for part in task.parts if part not in task.variants
    ]
    return encoded + plain + captions
