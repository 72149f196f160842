"""Joint sampling: temperature, top-k and top-p act on whole codes, although a head predicts digit by digit.

On codes they differ from the same settings on each digit: with temperature T over codes the first digit has
the probability sum over d1 of p(d0, d1)^(1/T), which favours digits whose codes are few and likely, and not
p(d0)^(1/T). Here they act on codes as with a flat softmax, but only on those with the likeliest first digits.
At temperature 1 without top-k and top-p both ways are the same and give the same codes for the same noise.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .drawing import draw, likeliest
from .sampling import DrawSettings

Predict = Callable[[Sequence[Tensor], int], Tensor]
"""(known digits of rows x beginnings, beginnings) -> the next digit's logits, (rows x beginnings, factor)."""

_AS_GIVEN = DrawSettings()


def choose_jointly(
    predict: Predict,
    factors: Sequence[int],
    noise: Sequence[Float[Tensor, "rows _"] | None],
    settings: DrawSettings,
) -> list[Int[Tensor, " rows"]]:
    """The digits of a code for every row.

    Args:
        factors: sizes of the digits, the one that is predicted first in front.
        noise: Gumbel noise of each digit; None with temperature 0.
        settings: of `joint` beginnings.
    """
    assert settings.joint is not None
    scores, digits = _likely_codes(predict, factors, settings.joint)
    if noise[0] is None:
        best = scores.argmax(-1, keepdim=True)
        return [digit.gather(1, best).squeeze(1) for digit in digits]
    scores = scores / settings.temperature
    if settings.top_k is not None or settings.top_p not in (None, 1.0):
        scores, kept = likeliest(scores, settings.top_k, settings.top_p)
        digits = [digit.gather(1, kept) for digit in digits]
    return _drawn(scores, digits, factors, noise)


def _likely_codes(
    predict: Predict, factors: Sequence[int], most: int
) -> tuple[Float[Tensor, "rows codes"], list[Int[Tensor, "rows codes"]]]:
    """Log-probabilities and digits of all codes that begin with one of the `most` likeliest beginnings."""
    digits: list[Tensor] = []
    scores: Tensor | None = None
    for k, factor in enumerate(factors):
        beginnings = 1 if scores is None else scores.shape[1]
        logits = predict([digit.flatten() for digit in digits], beginnings)
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        following = wide.log_softmax(-1).unflatten(0, (-1, beginnings))
        extended = (following if scores is None else scores[..., None] + following).flatten(1)
        if k < len(factors) - 1:
            scores, kept = extended.topk(min(most, extended.shape[1]))
        else:
            scores, kept = extended, torch.arange(extended.shape[1], device=extended.device)
            kept = kept.expand_as(extended)
        digits = [digit.gather(1, kept // factor) for digit in digits] + [kept % factor]
    assert scores is not None
    return scores, digits


def _drawn(
    scores: Float[Tensor, "rows codes"],
    digits: list[Int[Tensor, "rows codes"]],
    factors: Sequence[int],
    noise: Sequence[Float[Tensor, "rows _"] | None],
) -> list[Int[Tensor, " rows"]]:
    """A code by softmax(scores): first digit by the sum over the codes that have it, and so on."""
    chosen: list[Tensor] = []
    for digit, factor, part in zip(digits, factors, noise, strict=True):
        weights = (scores - scores.amax(-1, keepdim=True)).exp()
        sums = weights.new_zeros(len(weights), factor).scatter_add_(1, digit, weights)
        chosen.append(draw(sums.log(), part, _AS_GIVEN))
        scores = scores.masked_fill(digit != chosen[-1][:, None], float("-inf"))
    return chosen
