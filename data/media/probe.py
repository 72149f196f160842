"""What is in a media file: sizes, rate, length and sound, found by decoding it."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from jaxtyping import UInt8
from torch import Tensor

from .decoding import Part, duration
from .packets import film_seconds
from .photos import open_photo
from .picture_source import PictureSource, open_pictures
from .pictures import BLACK, Scaler
from .streams import (
    DEFAULT_LIMITS,
    Blob,
    Limits,
    MediaError,
    as_media,
    decodable,
    has_film,
    open_media,
)


@dataclass(frozen=True)
class MediaInfo:
    """What decoding a file has shown.

    Args:
        height, width: of its frames as displayed: upright, with square pixels; 0 if there are none.
        fps: frames per second, the mean of a variable rate; 0 for an image.
        num_frames: decoded; of a file that was not decoded to its end, as its header says or 0.
        seconds: from the first frame to the end of the last.
        sample_rate, channels: of the sound; 0 if there is none.
        loudness: root mean square of the samples; None where they were not decoded.
    """

    height: int
    width: int
    fps: float
    num_frames: int
    seconds: float
    sample_rate: int = 0
    channels: int = 0
    loudness: float | None = None

    @property
    def kind(self) -> str:
        if not self.height:
            return "sound"
        return "video" if self.fps else "image"


def probe(
    media: str | Path | Blob, *, whole: bool = True, thumbnail: int = 96, limits: Limits = DEFAULT_LIMITS
) -> tuple[MediaInfo, UInt8[Tensor, "height width 3"] | None]:
    """Decode a file, frame by frame, and tell what was found, with a picture from its inside.

    Args:
        media: a path, or a file's content.
        whole: decode all of it, if it is within the limits; otherwise only its beginning, and believe the
            header for the rest.
        thumbnail: height and width of the picture.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: if it cannot be decoded or its frames are too large.
    """
    media = as_media(media)
    seconds = _seconds_of_song(media, limits)
    if seconds is not None:
        whole = whole and seconds <= limits.max_seconds
        return MediaInfo(0, 0, 0.0, 0, seconds, *_sound(media, whole, limits)), None
    with open_pictures(media, limits) as source:
        container, rate = source.container, float(source.rate)
        whole = whole and (container is None or _seconds(container) <= limits.max_seconds)
        most = 1 if source.is_still or not whole else limits.max_frames + 1
        size, num_frames, seconds, picture = _count(source, thumbnail, most, limits)
        whole = whole and num_frames <= limits.max_frames
        has_sound = container is not None and bool(container.streams.audio)
        if source.is_still:
            rate, num_frames, seconds = 0.0, 1, 0.0
        elif container is not None and not whole:
            num_frames, seconds = _declared(source, media)
    sound = _sound(media, whole, limits) if has_sound else (0, 0, None)
    return MediaInfo(*size, rate, num_frames, seconds, *sound), picture


def probe_header(media: str | Path | Blob, *, limits: Limits = DEFAULT_LIMITS) -> MediaInfo:
    """What a file's header says, for durations, rates and sizes: at most its first frame is decoded.

    Where the header has no duration the packets are counted, undecoded. `num_frames` follows from rate and
    duration where the header does not count frames; `loudness` is None. A song with cover art is a sound.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: if it is no media file, its first frame cannot be decoded or is over the limits.
    """
    media = as_media(media)
    seconds = _seconds_of_song(media, limits)
    with open_media(media) if seconds is not None else open_pictures(media, limits) as opened:
        container = opened.container if isinstance(opened, PictureSource) else opened
        audio = container.streams.audio if container is not None else ()
        # Of an unknown codec neither is known, and no sound can be read.
        codec = audio[0].codec_context if audio else None
        sound = (codec.sample_rate, codec.channels) if codec is not None else (0, 0)
        if not isinstance(opened, PictureSource):
            return MediaInfo(0, 0, 0.0, 0, seconds or 0.0, *sound)
        size = _first_size(opened, limits)
        if opened.is_still:
            return MediaInfo(*size, 0.0, 1, 0.0, *sound)
        return MediaInfo(*size, float(opened.rate), *_declared(opened, media), *sound)


def _seconds_of_song(media: Path | Blob, limits: Limits) -> float | None:
    """The duration of a file of sound, with or without cover art; None if it is no such file."""
    with open_photo(media, limits) as photo:
        if photo is not None:
            return None
    with open_media(media) as container:
        return None if has_film(container) or not container.streams.audio else _seconds(container)


def _first_size(source: PictureSource, limits: Limits) -> tuple[int, int]:
    """Height and width as displayed."""
    if source.photo is not None:
        return source.photo.size
    _, frame = next(source.decode(Part(source.first)), (0.0, None))
    if frame is None:
        raise MediaError("it has no pictures that can be decoded")
    return Scaler(source.aspect, None, limits).size_of(frame)


def _declared(source: PictureSource, media: Path | Blob) -> tuple[int, float]:
    """Frames and seconds of a film, as its header says."""
    if source.photo is not None:
        lengths = [seconds for _, seconds, _ in source.photo.frames(BLACK)]
        return len(lengths), sum(lengths)
    assert source.container is not None and source.stream is not None
    seconds = film_seconds(source.container, source.stream, media, source.rate)
    return source.stream.frames or round(seconds * source.rate), seconds


def _count(
    source: PictureSource, thumbnail: int, most: int, limits: Limits
) -> tuple[tuple[int, int], int, float, Tensor]:
    """Size of the frames, their number (up to `most`) and seconds, and the last of numbers 1, 2, 4, …"""
    small = Scaler(source.aspect, (thumbnail, thumbnail), limits)
    size, picture, number, end = (0, 0), None, 0, 0.0
    try:
        for time, frame in islice(source.decode(Part(source.first)), most):
            end = time + max(duration(frame), source.least)
            size = size if number else small.size_of(frame)
            if number & (number - 1) == 0:
                picture = small(frame)
            number += 1
    except FFmpegError as error:
        raise MediaError(f"damaged after {number} frames ({error.strerror})") from error
    if picture is None:
        raise MediaError("it has no pictures that can be decoded")
    return size, number, end - source.first, picture


def _seconds(container: InputContainer) -> float:
    return container.duration / av.time_base if container.duration else 0.0


def _sound(media: Path | Blob, whole: bool, limits: Limits) -> tuple[int, int, float | None]:
    """Sample rate, channels and loudness of the first audio stream."""
    with open_media(media) as container:
        stream = decodable(container.streams.audio[0])
        resampler = av.AudioResampler(format="flt")
        power, samples = 0.0, 0
        for frame in container.decode(stream) if whole else ():
            for converted in resampler.resample(frame):
                piece = converted.to_ndarray().astype(np.float64)
                power, samples = power + float(np.square(piece).sum()), samples + piece.size
            if samples > limits.max_seconds * frame.sample_rate * stream.channels:
                raise MediaError(f"its sound is longer than {limits.max_seconds:g} s")
        loudness = (power / samples) ** 0.5 if samples else 0.0
        return stream.sample_rate, stream.channels, loudness if whole else None
