"""From logits to a class: guidance, temperature, top-k, top-p, and a draw with given noise.

A class is drawn as argmax(logits / temperature + noise) with Gumbel noise (Gumbel 1954), which follows
softmax(logits / temperature) exactly. The seed fixes the noise of every position beforehand. So the class is
a function of the logits, and logits that differ little give the same class as often as any sampler could:
decoding in parallel (jacobi.py) relies on both.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .sampling import DrawSettings

POSITIONS_AT_ONCE, NUMBERS_AT_ONCE = 64, 2**16
FIRST_CANDIDATES = 1024


def guidance_scales(settings: DrawSettings, positions: int) -> Float[Tensor, " {positions}"]:
    """The guidance scale at each sampled position."""
    done = torch.linspace(0, 1, positions)
    shape = {
        "constant": torch.ones_like(done),
        "linear": done,
        "cosine": 1 - torch.cos(done * math.pi / 2),
    }[settings.guidance_schedule]
    return 1 + (settings.guidance_scale - 1) * shape


def guided(
    logits: Float[Tensor, "both classes"], scale: float | Float[Tensor, "#rows 1"]
) -> Float[Tensor, "rows classes"]:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598) on logits.

    Args:
        logits: the conditional rows, then as many unconditional ones.
        scale: 0 is unconditional, 1 conditional, more leans away from the unconditional.
    """
    conditional, unconditional = logits.chunk(2)
    return unconditional + scale * (conditional - unconditional)


def draw(
    logits: Float[Tensor, "rows classes"], noise: Float[Tensor, "rows classes"] | None, settings: DrawSettings
) -> Int[Tensor, " rows"]:
    """One class a row.

    Args:
        noise: Gumbel noise; None with temperature 0, which takes the most likely.
    """
    if noise is None:
        return logits.argmax(-1)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / settings.temperature
    if settings.top_k is None and settings.top_p in (None, 1.0):
        return (logits + noise).argmax(-1)
    logits, classes = likeliest(logits, settings.top_k, settings.top_p)
    chosen = (logits + noise.gather(1, classes)).argmax(-1, keepdim=True)
    return classes.gather(1, chosen).squeeze(1)


def likeliest(
    logits: Float[Tensor, "rows classes"],
    top_k: int | None,
    top_p: float | None,
    first: int = FIRST_CANDIDATES,
) -> tuple[Float[Tensor, "rows kept"], Int[Tensor, "rows kept"]]:
    """Logits and classes of the likeliest, in this order; -inf where top_p ends.

    All classes are never sorted: `first` candidates are taken, and more only if these do not reach top_p.
    """
    most = min(top_k or logits.shape[-1], logits.shape[-1])
    if top_p is None:
        return logits.topk(most)
    count = min(first, most)
    while True:
        kept, classes = logits.topk(count)
        # Of top_k classes the probabilities sum to 1 among themselves.
        total = (kept if count == most else logits).double().logsumexp(-1, keepdim=True)
        if top_k is not None and count < most:
            total = logits.topk(most).values.double().logsumexp(-1, keepdim=True)
        reached = (kept.double() - total).exp().cumsum(-1)
        if count == most or bool((reached[:, -1] >= top_p).all()):
            before = reached.roll(1, dims=-1)
            before[:, 0] = 0
            return kept.masked_fill(before >= top_p, float("-inf")), classes
        count = min(8 * count, most)


class Noise:
    """Gumbel noise for every row, sampled position and class, of every row's own generator.

    It is drawn in the order of positions, some at a time: no row depends on its neighbours, and no number on
    how many positions are asked for at once.

    Args:
        generators: one for every row.
        numbers: how many every sampled position needs.
        device: where they are needed.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        numbers: Sequence[int],
        device: torch.device | str = "cpu",
    ):
        self.generators, self.device = generators, device
        self._parts = _parts(numbers)
        self._drawn: list[tuple[range, Tensor]] = []

    def at(self, first: int, stop: int) -> Float[Tensor, "rows positions numbers"]:
        """Noise of the positions from `first` up to `stop`, which need equally many numbers.

        `first` must not fall behind what an earlier call began with.
        """
        self._drawn = [(held, noise) for held, noise in self._drawn if held.stop > first]
        while not self._drawn or self._drawn[-1][0].stop < stop:
            self._draw_next()
        wanted = [
            noise[:, max(first - held.start, 0) : stop - held.start]
            for held, noise in self._drawn
            if held.stop > first and held.start < stop
        ]
        return wanted[0] if len(wanted) == 1 else torch.cat(wanted, dim=1)

    def _draw_next(self) -> None:
        held, size = next(self._parts)
        drawn = [
            torch.empty(len(held), size, device=generator.device).exponential_(generator=generator)
            for generator in self.generators
        ]
        # In float32 an exponential number is 0 once in 2^24 times; half of the next one stands for it.
        self._drawn.append((held, -torch.stack(drawn).to(self.device).clamp(min=2**-25).log()))


def _parts(numbers: Sequence[int]) -> Iterator[tuple[range, int]]:
    """Ranges of positions to draw together, and the numbers that each of their positions needs."""
    first = 0
    while first < len(numbers):
        size = numbers[first]
        stop = first
        most = first + max(1, min(POSITIONS_AT_ONCE, NUMBERS_AT_ONCE // size))
        while stop < min(most, len(numbers)) and numbers[stop] == size:
            stop += 1
        yield range(first, stop), size
        first = stop
