"""Every frame of a film with the time at which it is shown, small and one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from .decoding import Part, duration
from .picture_source import PictureSource, open_pictures
from .pictures import Scaler
from .streams import DEFAULT_LIMITS, Blob, Limits, as_media, tick

DatedFrame = tuple[float, float, UInt8[Tensor, "height width 3"]]


@dataclass(frozen=True, eq=False)
class NativeFrames:
    """The frames of a part of a film.

    Args:
        frames: of each when it is shown and when it would vanish if it were the last, in seconds after the
            first frame of the file, and its pixels.
        slack: seconds by which these times may be too late, of containers whose clock is too coarse for the
            film's rate (Matroska counts milliseconds); 0 where it is not.
    """

    frames: Iterator[DatedFrame]
    slack: float


@contextmanager
def native_frames(
    media: str | Path | Blob,
    *,
    start: float = 0.0,
    end: float | None = None,
    height: int,
    width: int,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[NativeFrames]:
    """All frames that are shown from `start` to `end` seconds, scaled and cropped, in constant memory.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: if it has no pictures, cannot be decoded or its frames are too large.
    """
    with open_pictures(as_media(media), limits) as source:
        yield NativeFrames(
            _dated(source, start, inf if end is None else end, (height, width), limits), _slack(source)
        )


def _dated(
    source: PictureSource, start: float, end: float, size: tuple[int, int], limits: Limits
) -> Iterator[DatedFrame]:
    scale = Scaler(source.aspect, size, limits)
    begin = source.first + (0.0 if source.is_still else start)
    for time, frame in source.decode(Part(begin, source.first + end)):
        shown = time - source.first
        if shown >= end - 1e-6:
            return
        until = min(shown + max(source.least, duration(frame)), end)
        yield max(shown, start), until, scale(frame)


def _slack(source: PictureSource) -> float:
    if source.stream is None:
        return 0.0
    ticks = 1 / source.rate / tick(source.stream)
    return 0.0 if Fraction(ticks).denominator == 1 else source.rounding
