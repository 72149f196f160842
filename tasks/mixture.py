"""Which task each training step learns, and what each of its rows is shown.

All rows of a step share task and lengths, one length group a step as in alternating gradient descent
(Akbari et al. 2023, arXiv:2305.06324; Kondratyuk et al. 2024, arXiv:2312.14125, section 4.1): only their
texts differ in length, so there is next to no padding. Every draw is a pure function of the seed and the
step, the same on all processes and after a resume.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .task import Task, load_task

# Share of rows that learn without their text, by what a task says of it: for guidance (Ho & Salimans 2022,
# arXiv:2207.12598), and, where a text may be left out, to do as well without.
TEXT_DROP = {"required": 0.1, "optional": 0.5, "none": 1.0}
# First words of the seeds, so that no two kinds of draws have a stream in common.
_STEP, _ROW, _ORDER = 1, 2, 3


@dataclass(frozen=True)
class Draw:
    """What a step learns.

    Args:
        task: of all rows.
        given: latents given to a task that begins with some; None for other tasks.
    """

    task: Task
    given: int | None = None


class Mixture:
    """Tasks drawn by weight.

    Args:
        weights: task -> how often, relative to the others.
        latents: of a clip in time; a task with given latents draws 1 to all but one of them.
        seed: of all draws.

    Raises:
        ValueError: if a task is unknown, a weight is not positive, or there are no tasks.
    """

    def __init__(self, weights: Mapping[str, float], latents: int, seed: int):
        if not weights:
            raise ValueError("there are no tasks to learn; expected weights such as {'text_to_video': 1.0}")
        for name, weight in weights.items():
            if weight <= 0:
                raise ValueError(f"task {name} has weight {weight}; expected a positive one, or leave it out")
        self.tasks = tuple(load_task(name) for name in weights)
        for task in self.tasks:
            if task.has_given and latents < 2:
                raise ValueError(f"task {task.name} needs clips of at least 2 latents; these have {latents}")
        self.shares = np.array(list(weights.values()), dtype=float) / sum(weights.values())
        self.latents = latents
        self.seed = seed

    def draw(self, step: int) -> Draw:
        random = np.random.default_rng((_STEP, self.seed, step))
        task = self.tasks[random.choice(len(self.tasks), p=self.shares)]
        return Draw(task, int(random.integers(1, self.latents)) if task.has_given else None)

    def caption(self, task: Task, step: int, row: int, captions: tuple[str, ...]) -> str | None:
        """The text that a row is shown: one of the clip's captions, or none."""
        random = np.random.default_rng((_ROW, self.seed, step, row))
        if not captions or random.random() < TEXT_DROP[task.text]:
            return None
        return captions[random.integers(len(captions))]


def shuffled(seed: int, size: int, turn: int) -> np.ndarray:
    """The order of pass `turn` over `size` things."""
    return np.random.default_rng((_ORDER, seed, turn)).permutation(size)
