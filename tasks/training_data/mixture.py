"""The mixture of tasks: which task a training step learns, and what each of its examples is given.

In grouped batches all rows of a step share task and size: one length group a step, as in alternating
gradient descent (Akbari et al. 2023, arXiv:2305.06324; Kondratyuk et al. 2024, arXiv:2312.14125, section
4.1). Only their texts differ in length, so there is almost no padding. In packed batches tasks and sizes are
planned for blocks of steps (packing.py). A draw is a pure function of the seed, the step and the number of
the example, so a resumed training repeats it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...data.sources.caption_variation import FORMS
from ..task import Task, load_task

# Share of rows whose text is dropped, by `Task.text`: for classifier-free guidance (Ho & Salimans 2022,
# arXiv:2207.12598), and so that a task with an optional text also learns without one.
TEXT_DROP = {"required": 0.1, "optional": 0.5, "none": 1.0}
# Share of rows with a captioner's caption, of those that have both kinds (Betker et al. 2023, "Improving
# image generation with better captions", section 3.2).
LONG_CAPTIONS = 0.95
# Share of rows whose caption is written in another form, so that the form of a prompt matters little.
CAPTION_VARIATION = 0.3
# Share of images in the first part of a training and after it, and how long that part is (Kondratyuk et al.
# 2024, section 4.1).
_IMAGES_FIRST, _IMAGES_LATER, _FIRST_PART = 0.9, 0.1, 0.25
# First words of the seeds, so that no two kinds of draws have a stream in common.
_STEP, _ROW, _ORDER, _GIVEN, _NOISE, _FORM = 1, 2, 3, 4, 5, 6
_WINDOW = 8  # packing.py has 7
_FITTING_ROUNDS, _TINY = 200, 1e-300


@dataclass(frozen=True)
class Draw:
    """What a step, or a packed example, learns.

    Args:
        task: of all its rows.
        given: latents given to a task that begins with some; None for other tasks.
        size: of its clips, by its number.
    """

    task: Task
    given: int | None = None
    size: int = 0


class Mixture:
    """Tasks drawn by weight, for clips of one or several sizes.

    Args:
        weights: task -> how often, relative to the others.
        latents: of a clip in time, for each size; a task with given latents draws 1 to all but one of them,
            an interleaved one without `given_noise` always 1.
        seed: of all draws.
        images_first: steps of the whole training. In its first quarter nine of ten draws are tasks that make
            images, later one of ten; within both kinds tasks are drawn by weight. None draws by weight alone.
        long_captions: share of rows with a captioner's caption, of those whose clips have both kinds.
        size_shares: how often each size is drawn, relative to the others; equally often if not given. These
            hold exactly. Tasks are drawn within each size such that their weights hold over all sizes, or
            nearly so where some sizes have too few tasks.
        served: whether each task (row) has clips of each size (column); all that fit if not given.
        given_noise: the most noise on given latents (`noisy`).
        caption_variation: share of rows whose caption has another form (`form`).

    Raises:
        ValueError: if a task is unknown, a weight is not positive, a share is out of range, there are no
            tasks, or with `images_first` none of one kind.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        latents: Sequence[int],
        seed: int,
        images_first: int | None = None,
        long_captions: float = LONG_CAPTIONS,
        size_shares: Sequence[float] | None = None,
        served: Bool[np.ndarray, "tasks sizes"] | None = None,
        given_noise: float = 0.0,
        caption_variation: float = 0.0,
    ):
        for name, share in {"long_captions": long_captions, "caption_variation": caption_variation}.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is {share}; expected a share from 0 to 1")
        if not 0 <= given_noise <= 0.5:
            raise ValueError(f"given_noise is {given_noise}; expected a share of bits from 0 to 0.5")
        if not weights:
            raise ValueError("there are no tasks to learn; expected weights such as {'text_to_video': 1.0}")
        for name, weight in weights.items():
            if weight <= 0:
                raise ValueError(f"task {name} has weight {weight}; expected a positive one, or leave it out")
        self.tasks = tuple(load_task(name) for name in weights)
        fitting = [task.fitting(latents) for task in self.tasks]
        for task, sizes in zip(self.tasks, fitting, strict=True):
            if not sizes:
                raise ValueError(
                    f"task {task.name} needs clips of at least 2 latents; these have {max(latents)}"
                )
        self.served = np.array([[size in sizes for size in range(len(latents))] for sizes in fitting])
        if served is not None:
            self.served &= served
        self.size_shares = np.array(size_shares or [1.0] * len(latents)) * self.served.any(0)
        self.size_shares /= self.size_shares.sum()
        self.shares = np.array(list(weights.values()), dtype=float) / sum(weights.values())
        self.latents = tuple(latents)
        self.seed = seed
        self.images_first, self.long_captions = images_first, long_captions
        self.given_noise, self.caption_variation = given_noise, caption_variation
        self._fitted: dict[bytes, np.ndarray] = {}
        self._are_images = np.array([task.makes_image for task in self.tasks])
        if images_first is not None and len(set(self._are_images)) < 2:
            raise ValueError(
                "images_first needs tasks that make images, such as text_to_image, and others; "
                f"got {', '.join(weights)}"
            )

    def shares_at(self, step: int) -> np.ndarray:
        """How often each task is drawn."""
        if self.images_first is None:
            return self.shares
        images = _IMAGES_FIRST if step < _FIRST_PART * self.images_first else _IMAGES_LATER
        kinds = ((self._are_images, images), (~self._are_images, 1 - images))
        of_images, of_others = (
            share * np.where(kind, self.shares, 0) / self.shares[kind].sum() for kind, share in kinds
        )
        return of_images + of_others

    def shares_of(self, step: int, size: int) -> np.ndarray:
        """How often each task is drawn for clips of a size."""
        shares = self.shares_at(step)
        key = shares.tobytes()
        if key not in self._fitted:
            self._fitted[key] = _fitted(shares, self.size_shares, self.served)
        return self._fitted[key][:, size]

    def draw(self, step: int, size: int = 0) -> Draw:
        """What a step learns from clips of a size."""
        random = np.random.default_rng((_STEP, self.seed, step))
        task = self.tasks[random.choice(len(self.tasks), p=self.shares_of(step, size))]
        givens = self._givens(task, size)
        given = int(random.integers(givens.start, givens.stop)) if isinstance(givens, range) else None
        return Draw(task, given, size)

    def draw_given(self, task: Task, size: int, step: int, number: int) -> Draw:
        """What an example learns whose task and size are known."""
        draws = self.draws_of(task, size)
        return draws[np.random.default_rng((_GIVEN, self.seed, step, number)).integers(len(draws))]

    def draws_of(self, task: Task, size: int) -> list[Draw]:
        """All that an example of a task and size may learn, equally often."""
        return [Draw(task, given, size) for given in self._givens(task, size)]

    def _givens(self, task: Task, size: int) -> range | tuple[None]:
        """The numbers of latents that may be given."""
        if not task.has_given:
            return (None,)
        # However many latents of an interleaved task are given, its sequence is the same (`Layout`): with
        # one of them all others are learnt at once. Only noise on the given ones makes more examples of it.
        return range(1, self.latents[size] if self.given_noise or not task.is_interleaved else 2)

    @property
    def turning_points(self) -> list[int]:
        """The steps from which on tasks are drawn by other shares."""
        later = ceil(_FIRST_PART * (self.images_first or 0))
        return [0, later] if later else [0]

    def caption(
        self, task: Task, step: int, row: int, captions: tuple[str, ...], long_caption: str | None = None
    ) -> str | None:
        """The text of a row: one of the clip's captions, a captioner's caption, or none."""
        random = np.random.default_rng((_ROW, self.seed, step, row))
        if not (captions or long_caption) or random.random() < TEXT_DROP[task.text]:
            return None
        if long_caption and (not captions or random.random() < self.long_captions):
            return long_caption
        return captions[random.integers(len(captions))]

    def window_generator(self, step: int, row: int) -> np.random.Generator:
        """What draws at which latent of a long clip a row begins."""
        return np.random.default_rng((_WINDOW, self.seed, step, row))

    def form(self, step: int, row: int) -> int | None:
        """The form of a row's caption (`varied`, data/sources/caption_variation.py); None is as it came."""
        random = np.random.default_rng((_FORM, self.seed, step, row))
        return int(random.integers(FORMS)) if random.random() < self.caption_variation else None

    def noisy(
        self, draw: Draw, step: int, row: int, codes: Int[Tensor, "t h w"], num_codes: int
    ) -> Int[Tensor, "t h w"]:
        """The visual codes of a clip with noise on the given latents, if a row's task has any.

        In a long video the model continues its own frames, whose errors add up from window to window. Noise
        on the given latents teaches it to correct them, as in GameNGen (Valevski et al. 2024,
        arXiv:2408.14837, section 3.2.1). Each bit is flipped with a probability that the row draws uniformly
        from 0 to `given_noise`.

        Args:
            num_codes: of the codebook, a power of two.
        """
        if not self.given_noise or draw.given is None:
            return codes
        random = np.random.default_rng((_NOISE, self.seed, step, row))
        level, given = random.uniform(0, self.given_noise), codes[: draw.given]
        places = 2 ** np.arange(num_codes.bit_length() - 1)
        flips = ((random.random((*given.shape, len(places))) < level) * places).sum(-1)
        return torch.cat([given ^ torch.as_tensor(flips, dtype=codes.dtype), codes[draw.given :]])


def shuffled(seed: int, size: int, turn: int) -> np.ndarray:
    """The order of pass `turn` over `size` things."""
    return np.random.default_rng((_ORDER, seed, turn)).permutation(size)


def _fitted(
    shares: Float[np.ndarray, " tasks"],
    size_shares: Float[np.ndarray, " sizes"],
    served: Bool[np.ndarray, "tasks sizes"],
) -> Float[np.ndarray, "tasks sizes"]:
    """Shares of the tasks within each size, such that over all sizes they are `shares` or near to them.

    Iterative proportional fitting (Deming and Stephan 1940). Its last step fits the sizes, whose shares hold
    exactly. A size without tasks has a column of zeros.
    """
    joint = np.outer(shares, size_shares) * served
    for _ in range(_FITTING_ROUNDS):
        joint *= (shares / np.maximum(joint.sum(1), _TINY))[:, None]
        joint *= size_shares / np.maximum(joint.sum(0), _TINY)
    return joint / np.maximum(joint.sum(0), _TINY)
