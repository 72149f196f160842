"""Decoded frames to bytes: upright, with square pixels, opaque, in SDR, scaled and cropped to a size."""

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from math import ceil, cos, radians, sin
from typing import cast

import av
import numpy as np
import torch
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.format import VideoFormat
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter
from jaxtyping import UInt8
from torch import Tensor

from ..runtime.notes import notify
from .colour import HDR, is_wide, matrix_of, tone_mapped
from .framing import centre_crop, covering_size
from .streams import Limits, MediaError

BLACK = (0, 0, 0)
_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


class Scaler:
    """Decoded frames to bytes: upright, with square pixels, in the size that is asked for.

    Args:
        aspect: width / height of a stored pixel.
        size: of the frames; None for that of the first frame as displayed.
        background: RGB 0..255 on which transparent frames are laid.
    """

    def __init__(
        self,
        aspect: float,
        size: tuple[int, int] | None,
        limits: Limits,
        background: tuple[int, int, int] = BLACK,
    ):
        self.aspect, self.size, self.background = aspect, size, background
        self.max_pixels = limits.max_pixels
        self.reformatter, self.opaque = VideoReformatter(), VideoReformatter()
        self.has_warned = False

    def __call__(self, frame: av.VideoFrame) -> UInt8[Tensor, "height width 3"]:
        self._check(frame.height, frame.width)
        is_transposed, flipped = orientation(frame)
        self.size = self.size or self.size_of(frame)
        height, width = covering_size(*self.size_of(frame), *self.size)
        self._check(height, width)
        if is_transposed:
            height, width = width, height
        picture = torch.from_numpy(self._rgb(frame, width, height))
        picture = (picture.transpose(0, 1) if is_transposed else picture).flip(flipped)
        return centre_crop(picture, *self.size).contiguous()

    def size_of(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Height and width as displayed, before scaling."""
        height, width = frame.height, max(1, round(frame.width * self.aspect))
        return (width, height) if orientation(frame)[0] else (height, width)

    def _rgb(self, frame: av.VideoFrame, width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
        if has_alpha(frame.format.name):
            frame = self._on_background(frame)
        matrix, scale = matrix_of(frame), self.reformatter.reformat
        if frame.color_trc in HDR:
            self._say_hdr(frame)
            wide = scale(frame, width, height, "rgb48le", matrix, interpolation=_SCALING, threads=1)
            return tone_mapped(wide.to_ndarray(), frame.color_trc, frame.color_primaries)
        if is_wide(frame):
            frame.color_trc = ColorTrc.BT709
            narrow = {"dst_color_trc": ColorTrc.BT709, "dst_color_primaries": ColorPrimaries.BT709}
            rgb = scale(frame, width, height, "rgb24", matrix, interpolation=_SCALING, threads=1, **narrow)
        else:
            rgb = scale(frame, width, height, "rgb24", matrix, interpolation=_SCALING, threads=1)
        return rgb.to_ndarray()

    def _on_background(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The opaque frame, before it is scaled: colours under transparent pixels must not bleed out."""
        rgba = self.opaque.reformat(frame, format="rgba", src_colorspace=matrix_of(frame), threads=1)
        return av.VideoFrame.from_ndarray(composited(rgba.to_ndarray(), self.background), "rgb24")

    def _say_hdr(self, frame: av.VideoFrame) -> None:
        if not self.has_warned:
            name = HDR[ColorTrc(frame.color_trc)]
            notify(f"HDR film ({name}): its frames are tone-mapped to SDR")
        self.has_warned = True

    def _check(self, height: int, width: int) -> None:
        check_pixels(height, width, self.max_pixels)


def check_pixels(height: int, width: int, max_pixels: int) -> None:
    if height * width > max_pixels:
        raise MediaError(f"its frames are {height}x{width}; at most {max_pixels} pixels are read")


def composited(
    rgba: UInt8[np.ndarray, "height width 4"], background: tuple[int, int, int]
) -> UInt8[np.ndarray, "height width 3"]:
    """Frames with straight alpha laid on a background of one colour."""
    alpha = rgba[..., 3:].astype(np.uint32)
    mixed = rgba[..., :3] * alpha + np.array(background, np.uint32) * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


@lru_cache(maxsize=64)
def has_alpha(pixel_format: str) -> bool:
    return pixel_format == "pal8" or any(part.is_alpha for part in VideoFormat(pixel_format).components)


def collect(pictures: Iterable[Tensor], rate: Fraction, limits: Limits) -> list[Tensor]:
    most = min(limits.max_frames, ceil(limits.max_seconds * rate))
    frames, num_bytes = [], 0
    for picture in pictures:
        frames.append(picture)
        num_bytes += picture.nbytes
        if len(frames) > most:
            raise MediaError(f"it has more than {most} frames; read a part, or fewer frames per second")
        if num_bytes > limits.max_bytes:
            raise MediaError(f"its frames take more than {limits.max_bytes} bytes; read a part, or smaller")
    return frames


def orientation(frame: av.VideoFrame) -> tuple[bool, list[int]]:
    """How to turn stored pixels upright: whether to swap rows and columns, then which axes to reverse.

    The display matrix takes a stored (x, y) to (a x + c y, b x + d y). Quarter turns and mirroring are
    followed, as by players.
    """
    try:
        matrix = cast(SideDataContainer, frame.side_data).get(SideDataType.DISPLAYMATRIX)
    except ValueError:  # PyAV lacks names for what some files carry; a mirrored one is only turned
        angle = radians(-frame.rotation)
        a, b, c, d = cos(angle), sin(angle), -sin(angle), cos(angle)
    else:
        if matrix is None:
            return False, []
        a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    is_transposed = abs(b) > abs(a)
    down, right = (b, c) if is_transposed else (d, a)
    return is_transposed, [axis for axis, sign in enumerate((down, right)) if sign < 0]
