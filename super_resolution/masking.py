"""What a masked transformer does not see: of the codes that it predicts, and of those that it is given.

Codes are hidden by a share cos(pi/2 u) with u uniform (Chang et al. 2022, MaskGIT, arXiv:2202.04200, section
3.3; Yu et al. 2023, MAGVIT, arXiv:2212.05199). MAGVIT draws one share for a batch; here each clip has its
own, which makes the gradient of a small batch less noisy.

Codes of low resolution are replaced by random ones (Kondratyuk et al. 2024, arXiv:2312.14125, section 3.3),
so that the errors of generated ones are corrected and not enlarged. The share is not published; as in Imagen
Video (Ho et al. 2022, arXiv:2210.02303, section 2.4) it is drawn for each clip, and the model is told.
"""

from math import ceil, cos, floor, pi, prod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def masked_share(progress: float) -> float:
    """Share of the codes that are hidden: 1 at 0, 0 at 1."""
    return cos(pi / 2 * progress)


def draw_mask(grid: tuple[int, int, int], generator: torch.Generator) -> Bool[Tensor, "t h w"]:
    """The positions whose codes are hidden, at least one."""
    positions = prod(grid)
    share = masked_share(float(torch.rand((), generator=generator)))
    order = torch.rand(positions, generator=generator).argsort()
    return (order < max(ceil(share * positions), 1)).view(grid)


def num_masked(step: int, steps: int, hidden: int, positions: int) -> int:
    """How many codes are still hidden after a step of decoding; 0 after the last one.

    Args:
        step: from 0 to steps - 1.
        hidden: before the step.
        positions: that were to be decoded in all.
    """
    if step + 1 >= steps:
        return 0
    wanted = floor(positions * masked_share((step + 1) / steps))
    return min(max(wanted, 1), max(hidden - 1, 0))


def with_noise(
    codes: Int[Tensor, "*shape"], share: float, num_codes: int, generator: torch.Generator
) -> Int[Tensor, "*shape"]:
    """Codes of which a random share is replaced by random ones, any code being as likely as any other.

    Args:
        share: in [0, 1], of the codes that are drawn anew.
        num_codes: of the codebook.
    """
    replaced = torch.rand(codes.shape, generator=generator) < share
    return torch.where(replaced, torch.randint(num_codes, codes.shape, generator=generator), codes)


def draw_noise(most: float, generator: torch.Generator) -> float:
    """The level of noise of one clip: half of the clips have none, the others a share up to `most`.

    Clean codes are what the model reads most; drawn uniformly alone they would never occur.
    """
    level, is_noisy = torch.rand(2, generator=generator).tolist()
    return level * most if is_noisy < 0.5 else 0.0


def halton_order(grid: tuple[int, int, int]) -> Int[Tensor, " positions"]:
    """The turn of each position when codes are decoded in the order of a Halton sequence.

    The sequence (bases 2, 3 and 5 for w, h and t) visits positions far apart one after the other, so that
    those decoded together depend little on each other (Besnier et al. 2025, arXiv:2503.17076; there in two
    dimensions).
    """
    count = prod(grid)
    turns = torch.full((count,), -1)
    found, start, together = 0, 1, 8 * count
    while found < count:
        numbers = torch.arange(start, start + together)
        t, h, w = (
            (_radical_inverse(numbers, base) * size).long().clamp(max=size - 1)
            for base, size in zip((5, 3, 2), grid, strict=True)
        )
        for place in ((t * grid[1] + h) * grid[2] + w).tolist():
            if turns[place] < 0:
                turns[place] = found
                found += 1
        start += together
    return turns


def _radical_inverse(numbers: Int[Tensor, " count"], base: int) -> Float[Tensor, " count"]:
    """Digits of a number mirrored at the point: 6 = 110 in base 2 becomes 0.011 = 0.375 (Halton 1960)."""
    result = torch.zeros(len(numbers), dtype=torch.float64)
    share = 1.0
    while numbers.any():
        share /= base
        result += share * (numbers % base)
        numbers = numbers // base
    return result
