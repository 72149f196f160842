"""Clips and sound out of files.

Whatever FFmpeg reads can be read: phone videos on their side, pixels that are not square, variable
frame rates, any sound. Frames are taken by the time at which they are shown, counted from the first
one, and scaled while they are decoded, so that no long or large file is ever held whole.

    clip = read_clip("holiday.mov", start=3, end=5, fps=8, height=128, width=128, sample_rate=16000)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, inf
from pathlib import Path
from sys import maxsize

import av
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..runtime.notes import notify
from .clip import Clip
from .decoding import Part, frames_at, with_end
from .picture_source import PictureSource, open_pictures
from .pictures import BLACK, Scaler, collect
from .sound import decode_sound, read_sound, resample
from .streams import (
    DEFAULT_LIMITS,
    Blob,
    EmptyPart,
    Limits,
    MediaError,
    as_media,
    check_duration,
    first_time,
    open_media,
)
from .timing import exact_rate

_ANY_LENGTH = Limits(max_seconds=inf)


@dataclass(frozen=True, eq=False)
class FrameStream:
    """The frames of a part of a file, each decoded when it is asked for.

    Args:
        frames: in order, all of one size.
        fps: frames per second.
        begin: when the sound of the first begins, in seconds of the file's own clock.
        may_sound: whether the file may have sound beside them; a photo has none.
    """

    frames: Iterator[UInt8[Tensor, "height width 3"]]
    fps: Fraction
    begin: float
    may_sound: bool


def read_clip(
    media: str | Path | Blob,
    *,
    start: float = 0.0,
    end: float | None = None,
    fps: float | None = None,
    num_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
    sound: bool = True,
    background: tuple[int, int, int] = BLACK,
    caption: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Clip:
    """Read a video, or an image as a clip of one frame.

    The picture is the first video stream (cover art only if there is no other) as a player shows it: upright,
    with square pixels, opaque, not interlaced, HDR as SDR (a warning says so), in the size of the first
    frame where later ones have others. The sound is the first audio stream, from the first frame of
    the clip on, cut or filled with silence to the duration of the frames. Sound that cannot be decoded is
    left out with a warning that names the file.

    Args:
        media: a path, or a file's content.
        start, end: seconds after the first frame of the file.
        fps: frames per second; each frame is the latest one shown at its instant. If not given, the
            file's own rate, the mean of a variable one. An image is one frame at any rate.
        num_frames: at most so many frames.
        height, width: frames are scaled until they cover this size, then cut around their centre.
        sample_rate, channels: of the sound; the file's own if not given.
        background: RGB 0..255 of what is seen through transparent pixels.
        sound: whether the clip gets its sound; without it no audio stream is opened.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: if it has no pictures in that part (`EmptyPart`), cannot be decoded or is over the limits.
        ValueError: if an argument makes no sense.
    """
    media = as_media(media)
    part = stream_frames(
        media,
        start=start,
        end=end,
        fps=fps,
        num_frames=num_frames,
        height=height,
        width=width,
        background=background,
        limits=limits,
    )
    with part as stream:
        frames = collect(stream.frames, stream.fps, limits)
        if not frames:
            raise EmptyPart(f"it has no pictures after {start:g} s")
    clip = Clip(torch.stack(frames), float(stream.fps), caption=caption)
    if not sound or not stream.may_sound:
        return clip
    try:
        waveform, sample_rate = read_sound(
            media, stream.begin, len(frames), float(stream.fps), sample_rate, channels
        )
    except MediaError as error:
        notify(f"{error}; the clip is read without its sound")
        return clip
    return replace(clip, waveform=waveform, sample_rate=sample_rate)


@contextmanager
def stream_frames(
    media: str | Path | Blob,
    *,
    start: float = 0.0,
    end: float | None = None,
    fps: float | None = None,
    num_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    background: tuple[int, int, int] = BLACK,
    limits: Limits = _ANY_LENGTH,
) -> Iterator[FrameStream]:
    """The frames that `read_clip` would read, one after the other: a file of any length in little memory.

    Of the limits, `max_pixels` and `max_seconds` hold here, the latter for the part that is read.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: if it has no pictures, cannot be decoded or is over the limits.
        ValueError: if an argument makes no sense.
    """
    _check_request(start, end, fps, num_frames, height, width)
    size = (height, width) if height and width else None
    with open_pictures(as_media(media), limits, background) as source:
        rate = exact_rate(fps) if fps else source.rate
        most = min(num_frames or maxsize, maxsize if end is None else ceil((end - start) * rate - 1e-3))
        if source.is_still:
            most = 1
        if source.container is not None:
            check_duration(source.container, start, float(most / rate), limits)
        begin = source.first + start
        # Without a wish for a rate each frame of the file is meant once, however its clock rounds.
        lead = source.rounding if fps else float(1 / (2 * rate))
        frames = _shown(source, start, lead, rate, most)
        scaler = Scaler(source.aspect, size, limits, background)
        yield FrameStream(map(scaler, frames), rate, begin - source.late, source.container is not None)


def _shown(
    source: PictureSource, start: float, lead: float, rate: Fraction, most: int
) -> Iterator[av.VideoFrame]:
    """The frames that are shown at `most` instants, `lead` seconds late of each."""
    first = source.first + start + lead
    last = first + float((most - 1) / rate) if most < maxsize else inf
    begin = first if start and not source.is_still else source.first
    part = Part(begin, last, period=float(1 / rate), first=first)
    timed = with_end(source.decode(part), source.least, part)
    return frames_at(timed, first, float(1 / rate), most)


def read_waveform(
    media: str | Path | Blob,
    *,
    start: float = 0.0,
    seconds: float | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Float[Tensor, "channels samples"], int]:
    """The first audio stream of any file, and its sample rate.

    Args:
        start: seconds after its first sample.
        seconds: at most so many; all of it if not given.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: if it has no sound, cannot be decoded or is over the limits.
    """
    media = as_media(media)
    end = None if seconds is None else start + seconds
    _check_request(start, end, None, None, None, None)
    with open_media(media) as container:
        if not container.streams.audio:
            raise MediaError("it has no sound")
        most = limits.max_seconds if seconds is None else seconds
        check_duration(container, start, inf if seconds is None else seconds, limits)
        first = first_time(container.streams.audio[0])
        waveform, native = decode_sound(container, first + start, most)
        is_too_long = seconds is None and waveform.shape[1] >= limits.max_seconds * native
        if not waveform.shape[1] or is_too_long:
            raise MediaError(f"its sound is empty or longer than {limits.max_seconds:g} s")
        sample_rate = sample_rate or native
        return resample(waveform, native, sample_rate, channels), sample_rate


def _check_request(
    start: float,
    end: float | None,
    fps: float | None,
    num_frames: int | None,
    height: int | None,
    width: int | None,
) -> None:
    if start < 0 or (end is not None and end <= start):
        raise ValueError(f"the part from {start} s to {end} s is empty; expected 0 <= start < end")
    if fps is not None and fps <= 0:
        raise ValueError(f"fps is {fps}; expected a positive number")
    if num_frames is not None and num_frames < 1:
        raise ValueError(f"num_frames is {num_frames}; expected at least 1")
    if (height is None) != (width is None) or min(height or 1, width or 1) < 1:
        raise ValueError(f"height is {height} and width is {width}; expected both, positive, or neither")
