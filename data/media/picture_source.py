"""What has pictures, a film or a photo, as frames with times: the one way in for whoever reads pictures."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from .decoding import Part, decode_video
from .photos import Photo, open_photo
from .pictures import BLACK, check_pixels
from .streams import (
    Blob,
    Limits,
    first_time,
    is_still,
    open_media,
    own_rate,
    picture_stream,
    rounding,
    tick,
)

# Enough to find the first picture among the reordered ones.
_FIRST_PACKETS = 32

Dated = Iterator[tuple[float, av.VideoFrame]]


@dataclass(frozen=True, eq=False)
class PictureSource:
    """The pictures of an opened file.

    Args:
        rate: frames per second, the mean of a variable one.
        first: when the first one is shown, in seconds of the file's own clock.
        late: seconds by which FFmpeg dates pictures later than the sound that belongs to them.
        is_still: whether there is only one.
        aspect: width / height of a stored pixel.
        rounding: seconds by which times may be rounded up.
        least: seconds for which the last frame is shown at least.
        decode: frames of a part of the file with their times.
        container, stream: of a film; None for a photo.
        photo: None for a film.
    """

    rate: Fraction
    first: float
    late: float
    is_still: bool
    aspect: float
    rounding: float
    least: float
    decode: Callable[[Part], Dated]
    container: InputContainer | None = None
    stream: VideoStream | None = None
    photo: Photo | None = None


@contextmanager
def open_pictures(
    media: Path | Blob, limits: Limits, background: tuple[int, int, int] = BLACK
) -> Iterator[PictureSource]:
    """The pictures in a file: its film, or, if there is none, its cover art.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: if it cannot be read, has no pictures or too large ones.
    """
    with open_photo(media, limits) as photo:
        if photo is not None:
            yield _of_photo(photo, background)
            return
    with open_media(media) as container:
        stream = picture_stream(container)
        check_pixels(stream.codec_context.height, stream.codec_context.width, limits.max_pixels)
        rate, late = own_rate(container, stream, media), _lateness(container, stream, media)
        yield PictureSource(
            rate=rate,
            first=first_time(stream) + late,
            late=late,
            is_still=is_still(container, media),
            aspect=float(stream.sample_aspect_ratio or 1),
            rounding=rounding(stream),
            least=float(1 / rate),
            decode=lambda part: decode_video(container, stream, part),
            container=container,
            stream=stream,
        )


def _lateness(container: InputContainer, stream: VideoStream, media: Path | Blob) -> float:
    """How much later than the stream begins FFmpeg dates the first picture of an .avi.

    These say only when pictures are decoded; FFmpeg adds what reordering might take.
    """
    if container.format.name != "avi" or stream.start_time is None:
        return 0.0
    with open_media(media) as again:
        packets = islice(again.demux(again.streams[stream.index]), _FIRST_PACKETS)
        times = [packet.pts for packet in packets if packet.pts is not None]
    return float((min(times, default=0) - stream.start_time) * tick(stream)) if times else 0.0


def _of_photo(photo: Photo, background: tuple[int, int, int]) -> PictureSource:
    def decode(part: Part) -> Dated:
        for time, seconds, pixels in photo.frames(background):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.time_base, frame.duration = Fraction(1, 1000), round(seconds * 1000)
            yield time, frame

    rate = Fraction(25)
    if not photo.is_still:
        lengths = [seconds for _, seconds, _ in photo.frames(background)]
        rate = len(lengths) / Fraction(sum(lengths)).limit_denominator(1000)
    return PictureSource(rate, 0.0, 0.0, photo.is_still, 1.0, 1e-6, 0.0, decode, photo=photo)
