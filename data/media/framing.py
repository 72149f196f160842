"""How frames of one shape are fitted into another, and which of several shapes is nearest to one.

An aspect ratio is width / height.
"""

from collections.abc import Sequence
from math import log

from jaxtyping import UInt8
from torch import Tensor

# Aspect ratios whose logarithms differ by less are the same.
_SAME_ASPECT = 1e-6


def covering_size(height: int, width: int, to_height: int, to_width: int) -> tuple[int, int]:
    """The smallest size of the same shape that covers to_height x to_width."""
    scale = max(to_height / height, to_width / width)
    return max(to_height, round(height * scale)), max(to_width, round(width * scale))


def inscribed_size(height: int, width: int, to_height: int, to_width: int) -> tuple[int, int]:
    """The largest size of the same shape that fits into to_height x to_width."""
    scale = min(to_height / height, to_width / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def centre_crop(
    frames: UInt8[Tensor, "*frames height width 3"], height: int, width: int
) -> UInt8[Tensor, "*frames to_height to_width 3"]:
    """The middle height x width of frames that are at least that large."""
    top, left = (frames.shape[-3] - height) // 2, (frames.shape[-2] - width) // 2
    return frames[..., top : top + height, left : left + width, :]


def aspect_distance(aspect: float, other: float) -> float:
    """How unlike two aspect ratios are: the difference of their logarithms, the same for 16:9 and 9:16."""
    return abs(log(aspect) - log(other))


def nearest_aspects(aspect: float, others: Sequence[float]) -> list[int]:
    """Indices of the nearest of some aspect ratios, the nearest first; several if they are equally near."""
    distances = [aspect_distance(aspect, other) for other in others]
    least = min(distances)
    near = (index for index, distance in enumerate(distances) if distance <= least + _SAME_ASPECT)
    return sorted(near, key=distances.__getitem__)
