"""Decoded frames to bytes: rotated upright, with square pixels, scaled and cropped to a size."""

from collections.abc import Iterable
from fractions import Fraction
from math import ceil, cos, radians, sin
from typing import cast

import av
import numpy as np
import torch
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8
from torch import Tensor

from .framing import centre_crop, covering_size
from .streams import Limits, MediaError

_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


class Scaler:
    """Decoded frames to bytes: upright, with square pixels, in the size that is asked for."""

    def __init__(self, stream: VideoStream, size: tuple[int, int] | None, limits: Limits):
        self.aspect = float(stream.sample_aspect_ratio or 1)
        self.size = size
        self.max_pixels = limits.max_pixels
        self.reformatter = VideoReformatter()
        self._check(stream.codec_context.height, stream.codec_context.width)

    def __call__(self, frame: av.VideoFrame) -> UInt8[Tensor, "height width 3"]:
        is_transposed, flipped = _orientation(frame)
        height, width = self.size_of(frame)
        if self.size:
            height, width = covering_size(height, width, *self.size)
        self._check(height, width)
        if is_transposed:
            height, width = width, height
        rgb = self.reformatter.reformat(frame, width, height, "rgb24", interpolation=_SCALING, threads=1)
        picture = torch.from_numpy(rgb.to_ndarray())
        picture = (picture.transpose(0, 1) if is_transposed else picture).flip(flipped)
        return (centre_crop(picture, *self.size) if self.size else picture).contiguous()

    def size_of(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Height and width as displayed, before scaling."""
        height, width = frame.height, max(1, round(frame.width * self.aspect))
        return (width, height) if _orientation(frame)[0] else (height, width)

    def _check(self, height: int, width: int) -> None:
        if height * width > self.max_pixels:
            raise MediaError(f"its frames are {height}x{width}; at most {self.max_pixels} pixels are read")


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


def _orientation(frame: av.VideoFrame) -> tuple[bool, list[int]]:
    """How to turn stored pixels upright: whether to swap rows and columns, then which axes to reverse.

    The display matrix takes a stored (x, y) to (a x + c y, b x + d y). Quarter turns and mirroring are
    followed, as by players.
    """
    try:
        matrix = cast(SideDataContainer, frame.side_data).get(SideDataType.DISPLAYMATRIX)
    except ValueError:  # PyAV lacks names for what photos carry; a mirrored one is only turned
        angle = radians(-frame.rotation)
        a, b, c, d = cos(angle), sin(angle), -sin(angle), cos(angle)
    else:
        if matrix is None:
            return False, []
        a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    is_transposed = abs(b) > abs(a)
    down, right = (b, c) if is_transposed else (d, a)
    return is_transposed, [axis for axis, sign in enumerate((down, right)) if sign < 0]
