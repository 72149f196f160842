"""Peak signal-to-noise ratio of frames."""

from math import log10

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

# Mean squared error of rounding to bytes. Frames that differ by less count as this near (58.9 dB), so that
# identical ones have a finite score.
_ROUNDING_ERROR = 1 / 12


def psnr(
    real: UInt8[Tensor, "frames height width 3"],
    other: UInt8[Tensor, "frames height width 3"],
    where: Bool[Tensor, "frames height width"] | None = None,
) -> Float[Tensor, " frames"]:
    """Peak signal-to-noise ratio of every frame, in dB.

    Args:
        where: the pixels that count, some in every frame; None counts all.
    """
    squared_error = (real.float() - other.float()).square().mean(3)
    if where is None:
        squared_error = squared_error.mean((1, 2))
    else:
        squared_error = (squared_error * where).sum((1, 2)) / where.sum((1, 2))
    return 20 * log10(255) - 10 * squared_error.clamp(min=_ROUNDING_ERROR).log10()
