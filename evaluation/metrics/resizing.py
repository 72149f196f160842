"""Resizing of frames, the part of a metric's protocol in which papers differ most.

Only PyTorch's interpolation is used. Sampling points are half pixels (align_corners=False) unless said.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

_FRAMES_AT_ONCE = 64


@dataclass(frozen=True)
class Resize:
    """One step of resizing.

    Args:
        height, width: to reach.
        mode: of the interpolation.
        antialias: filter before shrinking; the literature's metrics do not.
        crop: keep the shape of the frames: scale until they cover the size, then cut around the centre.
            Otherwise they are stretched.
        align_corners: the corner pixels keep their place, as in Chainer's and early TensorFlow's resizing.
    """

    height: int
    width: int
    mode: Literal["bilinear", "bicubic"] = "bilinear"
    antialias: bool = False
    crop: bool = False
    align_corners: bool = False

    def __str__(self) -> str:
        words = [f"{self.mode} to {self.height}x{self.width}"]
        words += [name for name in ("antialias", "align_corners") if getattr(self, name)]
        return ", ".join([*words, *(["covering, centre crop"] if self.crop else [])])

    def __call__(self, values: Float[Tensor, "*batch rgb height width"]) -> Float[Tensor, "*batch rgb h w"]:
        height, width = values.shape[-2:]
        if (height, width) == (self.height, self.width):
            return values
        size = (self.height, self.width)
        if self.crop:
            scale = max(self.height / height, self.width / width)
            size = max(self.height, round(height * scale)), max(self.width, round(width * scale))
        images = values.reshape(-1, *values.shape[-3:])
        resized = torch.cat([self._interpolate(part, size) for part in images.split(_FRAMES_AT_ONCE)])
        top, left = (size[0] - self.height) // 2, (size[1] - self.width) // 2
        cut = resized[..., top : top + self.height, left : left + self.width]
        return cut.reshape(*values.shape[:-2], self.height, self.width)

    def bytes(self, frames: UInt8[Tensor, "*batch height width 3"]) -> UInt8[Tensor, "*batch h w 3"]:
        """The same for frames of bytes, rounded to bytes again."""
        resized = self(rearrange(frames, "... h w c -> ... c h w").float())
        return rearrange(resized.round().clamp(0, 255).to(torch.uint8), "... c h w -> ... h w c").contiguous()

    def _interpolate(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(
            images, size, mode=self.mode, antialias=self.antialias, align_corners=self.align_corners
        )
