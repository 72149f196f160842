"""Frames (bytes) to pixels (floats in [-1, 1]) and back: the only file that knows the value range."""

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor


def pixels_from_frames(
    frames: UInt8[Tensor, "*batch frames height width 3"],
) -> Float[Tensor, "*batch 3 frames height width"]:
    """Bytes 0..255, channels last, to float32 in [-1, 1], channels before time."""
    return rearrange(frames, "... f h w c -> ... c f h w").to(torch.float32) / 127.5 - 1


def frames_from_pixels(
    pixels: Float[Tensor, "*batch 3 frames height width"],
) -> UInt8[Tensor, "*batch frames height width 3"]:
    """Numbers in [-1, 1] (values outside are cut off) to the nearest byte, channels last."""
    scaled = (pixels.float().clamp(-1, 1) + 1) * 127.5
    return rearrange(scaled.round().to(torch.uint8), "... c f h w -> ... f h w c")
