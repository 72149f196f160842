"""Which clips a task learns from: those that have its codes and captions, less the held-out ones."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

import numpy as np
from jaxtyping import Bool

from ..task import Task
from .coded_clips import SizedClips
from .mixture import Mixture


class Pools:
    """The clips that each task learns from, those of each size for themselves.

    Attributes:
        of: task's name, number of a size -> numbers of clips.
        sizes: for each size, how many clips some task learns from.

    Raises:
        ValueError: if no clip has what a task needs.
    """

    def __init__(self, clips: SizedClips, indices: Sequence[int], mixture: Mixture):
        self.of: dict[tuple[str, int], list[int]] = {}
        shown: list[set[int]] = [set() for _ in clips.formats]
        found = {task.name: usable(clips, indices, task) for task in mixture.tasks}
        for task in mixture.tasks:
            if not found[task.name]:
                needs = " and ".join(_needs(task)) + _way_out(mixture, found)
                raise ValueError(f"no clip has what task {task.name} needs: {needs}")
            for index in found[task.name]:
                size = clips.size_of(index)
                self.of.setdefault((task.name, size), []).append(index)
                shown[size].add(index)
        self.sizes = [len(each) for each in shown]

    def sizes_of(self, task: Task) -> list[int]:
        """The sizes of which a task has clips."""
        return [size for size in range(len(self.sizes)) if (task.name, size) in self.of]

    def served(self, tasks: Sequence[Task]) -> Bool[np.ndarray, "tasks sizes"]:
        """Whether each task has clips of each size."""
        sizes = range(len(self.sizes))
        return np.array([[size in self.sizes_of(task) for size in sizes] for task in tasks])


def usable(clips: SizedClips, indices: Sequence[int], task: Task) -> list[int]:
    """The clips that have what a task needs: a fitting size, all its codes, a caption if it must have one."""
    fitting = task.fitting([each.grid[0] for each in clips.formats])
    return [
        index
        for index in indices
        if clips.size_of(index) in fitting
        and all(clips.has(index, part) for part in task.parts)
        and (task.text != "required" or texts(clips, index))
    ]


def texts(clips: SizedClips, index: int) -> list[str]:
    """All captions of a clip, a captioner's last."""
    long_caption = clips.long_caption(index)
    return [*clips.captions(index), *([long_caption] if long_caption else [])]


def first_caption(clips: SizedClips, index: int) -> str | None:
    return next(iter(texts(clips, index)), None)


def held_out(clips: SizedClips, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Numbers of the clips to train on and of those held out; all windows of a source are on one side.

    Raises:
        ValueError: if there are not two sources to divide.
    """
    sources = {clips.source_of(index) for index in range(len(clips))}
    if len(sources) < 2:
        raise ValueError(f"there are {len(sources)} clips; at least 2 are needed, one of them held out")
    ranked = sorted(sources, key=lambda source: sha256(f"{seed} {source}".encode()).digest())
    count = min(max(round(share * len(ranked)), 1), len(ranked) - 1)
    outside = set(ranked[:count])
    training = [index for index in range(len(clips)) if clips.source_of(index) not in outside]
    validation = [index for index in range(len(clips)) if clips.source_of(index) in outside]
    return training, validation


def _way_out(mixture: Mixture, found: Mapping[str, list[int]]) -> str:
    """What to say for the tasks that can be learnt, if any, with their weights relative to the least."""
    shares = zip(mixture.tasks, mixture.shares, strict=True)
    possible = {task.name: share for task, share in shares if found[task.name]}
    weights = ", ".join(f"{name}: {share / min(possible.values()):g}" for name, share in possible.items())
    return f"; for the others say --data.tasks '{{{weights}}}'" if possible else ""


def _needs(task: Task) -> list[str]:
    captions = ["a caption"] if task.text == "required" else []
    encoded = [f"{name} codes (videolm encode --tasks {task.name})" for name in task.variants]
    plain = [f"{part} codes" for part in task.parts if part not in task.variants]
    return encoded + plain + captions
