"""A smaller clip of a clip, as super-resolution is trained on it."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

_FRAMES_AT_ONCE = 64


def reduced(
    frames: UInt8[Tensor, "frames height width 3"], scale: int
) -> UInt8[Tensor, "frames low_height low_width 3"]:
    """Frames whose height and width are divided by `scale`: bicubic, with the filter against aliasing.

    Raises:
        ValueError: if they are no multiples of it.
    """
    height, width = frames.shape[1:3]
    if height % scale or width % scale:
        raise ValueError(f"frames are {height}x{width}; expected multiples of {scale} to reduce them by it")
    return resized(frames, height // scale, width // scale)


def enlarged(
    frames: UInt8[Tensor, "frames height width 3"], scale: int
) -> UInt8[Tensor, "frames large_height large_width 3"]:
    """Bicubically enlarged frames: what super-resolution is compared with."""
    return resized(frames, frames.shape[1] * scale, frames.shape[2] * scale)


def resized(
    frames: UInt8[Tensor, "frames height width 3"], height: int, width: int
) -> UInt8[Tensor, "frames {height} {width} 3"]:
    """Bicubic resize of each frame, to the nearest byte."""
    parts = [
        F.interpolate(some.float(), (height, width), mode="bicubic", antialias=True)
        for some in rearrange(frames, "f h w c -> f c h w").split(_FRAMES_AT_ONCE)
    ]
    return rearrange(torch.cat(parts).round().clamp(0, 255).to(frames.dtype), "f c h w -> f h w c")
