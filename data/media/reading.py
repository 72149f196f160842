"""Clips and sound out of files.

Whatever FFmpeg reads can be read: phone videos on their side, pixels that are not square, variable
frame rates, any sound. Frames are taken by the time at which they are shown, counted from the first
one, and scaled while they are decoded, so that no long or large file is ever held whole.

    clip = read_clip("holiday.mov", start=3, end=5, fps=8, height=128, width=128, sample_rate=16000)
"""

import warnings
from dataclasses import replace
from itertools import islice
from math import ceil, inf
from pathlib import Path
from sys import maxsize

import torch
from jaxtyping import Float
from torch import Tensor

from .clip import Clip
from .pictures import Scaler, collect
from .sound import decode_sound, read_sound, resample
from .streams import (
    DEFAULT_LIMITS,
    Blob,
    Limits,
    MediaError,
    as_media,
    check_duration,
    decode_video,
    first_time,
    frames_at,
    is_still,
    open_media,
    own_rate,
    picture_stream,
    rounding,
    with_end,
)
from .timing import exact_rate


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
    caption: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Clip:
    """Read a video, or an image as a clip of one frame.

    The picture is the first video stream (cover art only if there is no other), turned upright, with
    square pixels; transparency is dropped. The sound is the first audio stream, from the first frame of
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
        sound: whether the clip gets its sound; without it no audio stream is opened.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: if it has no pictures in that part, cannot be decoded or is over the limits.
        ValueError: if an argument makes no sense.
    """
    _check_request(start, end, fps, num_frames, height, width)
    media = as_media(media)
    size = (height, width) if height and width else None
    with open_media(media) as container:
        stream = picture_stream(container)
        native = own_rate(container, stream, media)
        rate = exact_rate(fps) if fps else native
        most = min(num_frames or maxsize, maxsize if end is None else ceil((end - start) * rate - 1e-3))
        if is_still(container, media):
            most = 1
        check_duration(container, start, float(most / rate), limits)
        begin = first_time(stream) + start
        # Without a wish for a rate each frame of the file is meant once, however its clock rounds.
        lead = rounding(stream) if fps else float(1 / (2 * rate))
        timed = with_end(decode_video(container, stream, begin), float(1 / native))
        pictures = islice(frames_at(timed, begin + lead, float(1 / rate)), most)
        frames = collect(map(Scaler(stream, size, limits), pictures), rate, limits)
        if not frames:
            raise MediaError(f"it has no pictures after {start:g} s")
    clip = Clip(torch.stack(frames), float(rate), caption=caption)
    if not sound:
        return clip
    try:
        waveform, sample_rate = read_sound(media, begin, len(frames), float(rate), sample_rate, channels)
    except MediaError as error:
        warnings.warn(f"{error}; the clip is read without its sound", stacklevel=2)
        return clip
    return replace(clip, waveform=waveform, sample_rate=sample_rate)


def read_waveform(
    media: str | Path | Blob,
    *,
    seconds: float | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Float[Tensor, "channels samples"], int]:
    """The whole first audio stream of any file, or its beginning, and its sample rate.

    Args:
        seconds: of the beginning, at most; nothing after it is decoded.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: if it has no sound, cannot be decoded or is over the limits.
    """
    media = as_media(media)
    with open_media(media) as container:
        if not container.streams.audio:
            raise MediaError("it has no sound")
        check_duration(container, 0.0, seconds or inf, limits)
        first = first_time(container.streams.audio[0])
        waveform, native = decode_sound(container, first, min(seconds or inf, limits.max_seconds))
        if not 0 < waveform.shape[1] < limits.max_seconds * native:
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
