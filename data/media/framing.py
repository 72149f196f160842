"""How frames of one shape are fitted into another: scaled to cover or to fit, and cut."""

from jaxtyping import UInt8
from torch import Tensor


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
