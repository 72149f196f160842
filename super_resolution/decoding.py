"""Decoding a large clip in a few steps: all hidden codes are drawn, and the least certain hidden again.

1. The transformer predicts every hidden code; guidance leans away from what it says without text or without
   low-resolution codes.
2. Every hidden code is drawn.
3. As many as the cosine says stay hidden: those of the lowest log-probability plus Gumbel noise that dies
away
   (Chang et al. 2022, MaskGIT, arXiv:2202.04200), or the last of a fixed order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..data.runtime.typed_fields import check_fields
from .batch import Condition
from .masking import halton_order, num_masked
from .transformer import SuperResolution

UNKNOWN = -1
"""Stands for a code that is to be decoded."""


@dataclass(frozen=True)
class DecodeSettings:
    """How a stage decodes.

    Args:
        steps: passes over the clip (24: Kondratyuk et al. 2024, arXiv:2312.14125, appendix A.5.2).
        temperature: divides the logits of the codes that are drawn; 0 takes the likeliest, which are nearer
            to the true clip (benchmarks/results/super-resolution.md).
        order_temperature: of the Gumbel noise on the certainties, which falls to zero with the steps.
        order: by certainty, or "halton": spread positions first, whatever is certain.
        low_scale: guidance on the low-resolution codes; 1 is off.
        text_scale: guidance on the text; 1 is off. A clip without text is not guided by one.
        noise: share of the low-resolution codes that the model is told to distrust, in [0, 1].
    """

    steps: int = 24
    temperature: float = 0.0
    order_temperature: float = 4.5
    order: Literal["confidence", "halton"] = "confidence"
    low_scale: float = 1.0
    text_scale: float = 1.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}; expected 1 or more")
        for name in ("temperature", "order_temperature", "low_scale", "text_scale", "noise"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more")
        if self.noise > 1:
            raise ValueError(f"noise is {self.noise}; expected a share from 0 to 1")


@torch.no_grad()
def decode(
    model: SuperResolution,
    condition: Condition,
    settings: DecodeSettings,
    generators: Sequence[torch.Generator],
    given: Int[Tensor, "batch t h w"] | None = None,
) -> Int[Tensor, "batch t h w"]:
    """Codes of the large clips.

    Args:
        condition: the low-resolution codes and texts; its level of noise is replaced by that of the settings.
        generators: one for each clip, on the CPU: its random numbers do not depend on the other clips.
        given: codes that are known already, such as those of the end of the clip before; UNKNOWN elsewhere.
            As many must be unknown in each clip.

    Raises:
        ValueError: if there is not a generator for each clip, or clips differ in how much is given.
    """
    batch, device = len(condition.low), condition.low.device
    if len(generators) != batch:
        raise ValueError(f"there are {len(generators)} generators; expected one for each of {batch} clips")
    grid = model.config.clips.large.grid
    codes = torch.full((batch, *grid), UNKNOWN, device=device) if given is None else given.clone()
    counts = (codes == UNKNOWN).flatten(1).sum(1)
    total = int(counts[0])
    if not bool((counts == total).all()):
        raise ValueError(f"{counts.tolist()} codes are unknown; expected as many in each clip")
    condition = replace(condition, noise=torch.full_like(condition.noise, settings.noise))
    branches = [
        (weight, model.see(condition.showing(low, text)))
        for weight, low, text in guidance_weights(settings, bool(condition.text_length.any()))
    ]
    hidden, steps = total, min(settings.steps, total)
    for step in range(steps):
        masked = codes == UNKNOWN
        rows = [
            (weight, model.predict(codes, masked, seen)[masked.flatten(1)].float())
            for weight, seen in branches
        ]
        drawn, certainty = _draw(model, rows, settings.temperature, generators)
        rest = num_masked(step, steps, hidden, total)
        score = _score(certainty, masked, settings, 1 - (step + 1) / steps, generators)
        again = score.argsort(dim=1).argsort(dim=1) < rest
        drawn = drawn.view(batch, hidden).masked_fill(again, UNKNOWN)
        codes[masked] = drawn.flatten()
        hidden = rest
    return codes


def guidance_weights(settings: DecodeSettings, has_text: bool) -> list[tuple[float, bool, bool]]:
    """(weight, shows the low-resolution codes, shows the text) of the predictions that are added up.

    l(0, 0) + s_low (l(low, 0) - l(0, 0)) + s_text (l(low, text) - l(low, 0)), the form of InstructPix2Pix
    (Brooks et al. 2023, arXiv:2211.09800, equation 3). What has no weight is not computed.
    """
    low, text = settings.low_scale, settings.text_scale if has_text else 0.0
    weights = [(text, True, True), (low - text, True, False), (1 - low, False, False)]
    return [each for each in weights if each[0] != 0]


def _draw(
    model: SuperResolution,
    rows: list[tuple[float, Float[Tensor, "rows dim"]]],
    temperature: float,
    generators: Sequence[torch.Generator],
) -> tuple[Int[Tensor, " rows"], Float[Tensor, " rows"]]:
    """A code for every hidden position, digit by digit, and its log-probability.

    Args:
        rows: weight and hidden states of each prediction; those of a clip after those of the clip before.
    """
    digits: list[Tensor] = []
    certainty = rows[0][1].new_zeros(len(rows[0][1]))
    for factor in model.block.factors:
        logits = torch.stack([weight * model.head.logits(each, digits) for weight, each in rows]).sum(0)
        logs = logits.log_softmax(-1)
        choice = logs
        if temperature:
            noise = [_gumbel((len(logs) // len(generators), factor), each) for each in generators]
            choice = logs / temperature + torch.cat(noise).to(logs.device)
        digit = choice.argmax(-1)
        certainty += logs.gather(1, digit[:, None]).squeeze(1)
        digits.append(digit)
    return model.block.join(digits), certainty


def _score(
    certainty: Float[Tensor, " rows"],
    masked: Tensor,
    settings: DecodeSettings,
    heat: float,
    generators: Sequence[torch.Generator],
) -> Float[Tensor, "batch hidden"]:
    """By what a code is kept rather than hidden again; the highest are kept."""
    batch = len(generators)
    if settings.order == "halton":
        t, h, w = masked.shape[1:]
        turns = _halton(t, h, w).to(masked.device).expand(batch, -1)
        return -turns[masked.flatten(1)].view(batch, -1).float()
    score = certainty.view(batch, -1)
    noise = torch.stack([_gumbel((score.shape[1],), each) for each in generators])
    return score + settings.order_temperature * heat * noise.to(score.device)


@cache
def _halton(t: int, h: int, w: int) -> Tensor:
    return halton_order((t, h, w))


def _gumbel(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Gumbel noise, drawn on the CPU: the same numbers on every device."""
    uniform = torch.rand(shape, generator=generator).clamp(min=1e-20)
    return -(-uniform.log()).clamp(min=1e-20).log()
