"""From logits to a choice: guidance, temperature, top-k, top-p, and a draw by given uniform numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How ids are drawn. With a factorized head every digit of a code is drawn in this way.

    Args:
        temperature: divides the logits; 0 takes the most likely.
        top_k: keep so many of the most likely; None keeps all.
        top_p: keep the most likely until their probabilities reach this sum; None keeps all.
        guidance_scale: logits = unconditional + scale * (conditional - unconditional); 1 is off.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    guidance_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError(f"temperature is {self.temperature}; expected 0 or more")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k is {self.top_k}; expected 1 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; expected a number above 0 and at most 1")
        if self.guidance_scale < 0:
            raise ValueError(f"guidance_scale is {self.guidance_scale}; expected 0 or more (1 is off)")


def guided(logits: Float[Tensor, "both classes"], scale: float) -> Float[Tensor, "rows classes"]:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598) on logits.

    Args:
        logits: the conditional rows, then as many unconditional ones.
        scale: 0 is unconditional, 1 conditional, more leans away from the unconditional.
    """
    conditional, unconditional = logits.chunk(2)
    return unconditional + scale * (conditional - unconditional)


def draw(
    logits: Float[Tensor, "rows classes"], uniform: Float[Tensor, " rows"], sampling: Sampling
) -> Int[Tensor, " rows"]:
    """One class a row, by the inverse of the distribution function at `uniform`, numbers in [0, 1)."""
    if sampling.temperature == 0:
        return logits.argmax(-1)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / sampling.temperature
    classes = None
    if sampling.top_k is not None or sampling.top_p is not None:
        kept = min(sampling.top_k or logits.shape[-1], logits.shape[-1])
        logits, classes = logits.topk(kept)
    probabilities = logits.softmax(-1, dtype=torch.float64)
    if sampling.top_p is not None:
        above = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(above >= sampling.top_p, 0)
    cumulative = probabilities.cumsum(-1)
    point = uniform.double()[:, None] * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, point, right=True)
    return (chosen if classes is None else classes.gather(1, chosen)).squeeze(1)


def uniforms(
    generators: Sequence[torch.Generator], positions: int, digits: int
) -> Float[Tensor, "rows {positions} {digits}"]:
    """Numbers in [0, 1) for every row from its own generator, so that no row depends on its neighbours.

    They are made in float32: the largest, 1 - 2^-24, times a sum in float64 stays below that sum.
    """
    return torch.stack(
        [
            torch.rand(positions, digits, generator=generator, device=generator.device)
            for generator in generators
        ]
    )
