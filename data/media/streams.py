"""Open media files, choose their streams and tell their rate and length.

Only files of this folder import the decoder (PyAV, FFmpeg's libraries).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TypeVar

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

_Stream = TypeVar("_Stream", VideoStream, AudioStream)


class MediaError(ValueError):
    """A file that cannot be read as asked: one line with its name and the reason."""


class EmptyPart(MediaError):
    """The part of a file that is asked for has no pictures, as one that begins after its end."""


@dataclass(frozen=True)
class Limits:
    """What reading a file may cost; a file that needs more is a `MediaError`.

    Args:
        max_pixels: of one frame, as stored and as scaled.
        max_frames: frames of the clip.
        max_bytes: all frames of the clip together.
        max_seconds: duration of the part that is read.
    """

    max_pixels: int = 2**26
    max_frames: int = 60_000
    max_bytes: int = 2**32
    max_seconds: float = 1800.0


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Blob:
    """A media file that is not one on disk: a member of a tar, a cell of a table.

    Args:
        name: for messages.
        data: the whole file.
    """

    name: str
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.name


def printable(name: object) -> str:
    """A name as one line that any terminal and UTF-8 file takes: what cannot be printed is escaped."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in str(name)
    )


# Formats that are no media but lists of other files or addresses, or the machine's own devices.
_REFERRING = {
    "alsa", "concat", "dash", "fbdev", "hls", "imf", "kmsgrab", "lavfi", "oss", "rtp", "rtsp", "sap", "sdp",
    "tedcaptions", "vobsub", "webm_dash_manifest", "x11grab",
}  # fmt: skip
OPTIONS = {
    # A playlist must not reach into the network, nor a colon in a name be taken for a protocol.
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(
        sorted(name for name in av.formats_available if not _REFERRING & set(name.split(",")))
    ),
    # Nor a % in the name of a picture for a pattern that stands for many.
    "pattern_type": "none",
}


@contextmanager
def open_media(media: Path | Blob) -> Iterator[InputContainer]:
    """The container in a file; whatever is wrong with it becomes a `MediaError` that names the file."""
    if isinstance(media, Path):
        check_is_file(media)
    file = BytesIO(media.data) if isinstance(media, Blob) else str(media.absolute())
    try:
        with av.open(file, "r", options=dict(OPTIONS), metadata_errors="replace") as container:
            yield container
    except MediaError as error:
        raise type(error)(f"{printable(media)}: {error}") from error
    except FFmpegError as error:
        raise MediaError(f"{printable(media)}: not a media file, or damaged ({error.strerror})") from error
    except MemoryError as error:
        raise MediaError(f"{printable(media)}: it needs more memory than there is") from error


def as_media(media: str | Path | Blob) -> Path | Blob:
    return media if isinstance(media, Blob) else Path(media)


def check_is_file(path: Path) -> None:
    if path.is_dir():
        raise MediaError(f"{printable(path)} is a folder; expected a media file")
    if not path.exists():
        raise FileNotFoundError(f"{printable(path)} is not there")
    if not path.is_file():  # a pipe would be waited on for ever
        raise MediaError(f"{printable(path)} is not a regular file")


def picture_stream(container: InputContainer) -> VideoStream:
    streams = container.streams.video
    if not streams:
        has_sound = bool(container.streams.audio)
        raise MediaError("it is sound only; read_waveform reads it" if has_sound else "it has no pictures")
    films = [stream for stream in streams if not stream.disposition & Disposition.attached_pic]
    return decodable((films or streams)[0])


def has_film(container: InputContainer) -> bool:
    """Whether there are pictures other than the cover of a song."""
    return any(not stream.disposition & Disposition.attached_pic for stream in container.streams.video)


def decodable(stream: _Stream) -> _Stream:
    if stream.codec_context is None:
        raise MediaError(f"there is no decoder for its {stream.type}")
    # Workers read clips side by side; threads inside each make all of them slower.
    stream.codec_context.thread_count = 1
    return stream


def is_still(container: InputContainer, media: Path | Blob) -> bool:
    """Whether the file is one picture, or a song's cover: the duration that FFmpeg gives means nothing."""
    if not has_film(container):
        return True
    name = container.format.name
    if name not in ("image2", "gif", "apng") and not name.endswith("_pipe"):
        return False
    with open_media(media) as again:
        packets = (packet for packet in again.demux(video=0) if packet.size)
        return len(list(islice(packets, 2))) == 1


def declared_rate(stream: VideoStream) -> Fraction:
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def own_rate(container: InputContainer, stream: VideoStream, media: Path | Blob) -> Fraction:
    """Frames per second; measured where the header has none (GIF) or the clock's (1000 in some Matroska)."""
    declared = declared_rate(stream)
    if declared <= 250 and container.format.name != "gif":
        return declared
    with open_media(media) as again:
        packets = islice(again.demux(again.streams[stream.index]), 250)
        times = [packet.pts * tick(packet) for packet in packets if packet.pts is not None]
    span = max(times) - min(times) if times else 0
    return (len(times) - 1) / span if span else declared


def check_duration(container: InputContainer, start: float, most: float, limits: Limits) -> None:
    """Fail before a long file is decoded rather than after."""
    seconds = min(most, container.duration / av.time_base - start) if container.duration else 0.0
    if seconds > limits.max_seconds:
        raise MediaError(f"{seconds:.0f} s are asked for; at most {limits.max_seconds:g} s are read at once")


def tick(dated: VideoStream | AudioStream | Packet | av.VideoFrame | av.AudioFrame) -> Fraction:
    """Seconds from one tick to the next of the clock that dates something."""
    assert dated.time_base is not None
    return dated.time_base


def first_time(stream: VideoStream | AudioStream) -> float:
    return 0.0 if stream.start_time is None else float(stream.start_time * tick(stream))


def rounding(stream: VideoStream) -> float:
    """Seconds by which a frame's time may be rounded up: half a tick, unless the clock ticks once a frame."""
    seconds = float(tick(stream))
    return (seconds / 2 if seconds <= 0.01 else 0.0) + 1e-6
