"""Open media files and iterate over their frames by time, for every container.

Frames come with the time at which they are shown, in seconds of the file's own clock. Only files of this
folder import the decoder (PyAV, FFmpeg's libraries).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from itertools import chain, islice, pairwise
from math import ceil, floor
from pathlib import Path
from typing import TypeVar

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

_BEFORE_START = 10  # seconds
_Stream = TypeVar("_Stream", VideoStream, AudioStream)
_Frame = TypeVar("_Frame", av.VideoFrame, av.AudioFrame)


class MediaError(ValueError):
    """A file that cannot be read as asked: one line with its name and the reason."""


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
_OPTIONS = {
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
        _check_is_file(media)
    file = BytesIO(media.data) if isinstance(media, Blob) else str(media.absolute())
    try:
        with av.open(file, "r", options=dict(_OPTIONS), metadata_errors="replace") as container:
            if _is_animated_webp(media):
                raise MediaError("FFmpeg does not decode animated WebP; convert it to .gif or .mp4")
            yield container
    except MediaError as error:
        raise MediaError(f"{printable(media)}: {error}") from error
    except FFmpegError as error:
        raise MediaError(f"{printable(media)}: not a media file, or damaged ({error.strerror})") from error
    except MemoryError as error:
        raise MediaError(f"{printable(media)}: it needs more memory than there is") from error


def _is_animated_webp(media: Path | Blob) -> bool:
    if isinstance(media, Path):
        with media.open("rb") as file:
            head = file.read(21)
    else:
        head = media.data[:21]
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == 21 and bool(head[20] & 2)


def as_media(media: str | Path | Blob) -> Path | Blob:
    return media if isinstance(media, Blob) else Path(media)


def _check_is_file(path: Path) -> None:
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
    """Whether the file is one picture: the duration that FFmpeg gives to it means nothing."""
    name = container.format.name
    if name not in ("image2", "gif", "apng") and not name.endswith("_pipe"):
        return False
    with open_media(media) as again:
        packets = (packet for packet in again.demux(video=0) if packet.size)
        return len(list(islice(packets, 2))) == 1


def _declared_rate(stream: VideoStream) -> Fraction:
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def own_rate(container: InputContainer, stream: VideoStream, media: Path | Blob) -> Fraction:
    """Frames per second; measured where the header has none (GIF) or the clock's (1000 in some Matroska)."""
    declared = _declared_rate(stream)
    if declared <= 250 and container.format.name != "gif":
        return declared
    with open_media(media) as again:
        packets = islice(again.demux(again.streams[stream.index]), 250)
        times = [packet.pts * tick(packet) for packet in packets if packet.pts is not None]
    span = max(times) - min(times) if times else 0
    return (len(times) - 1) / span if span else declared


def film_seconds(
    container: InputContainer, stream: VideoStream, media: Path | Blob, rate: Fraction
) -> float:
    """From the first frame to the end of the last, as the header says; else by the packets' times."""
    if stream.duration:
        return float(stream.duration * tick(stream))
    if container.duration:
        return container.duration / av.time_base
    with open_media(media) as again:
        packets = (packet for packet in again.demux(again.streams[stream.index]) if packet.size)
        times = [packet.pts * tick(packet) if packet.pts is not None else None for packet in packets]
    known = [time for time in times if time is not None]
    return float(max(known) - min(known) + 1 / rate) if known else float(len(times) / rate)


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


def decode_video(
    container: InputContainer, stream: VideoStream, begin: float
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Pictures with their times, from the last key frame that is not after `begin`."""

    def read() -> Iterator[tuple[float, av.VideoFrame]]:
        return _dated(container.decode(stream), first_time(stream), lambda _: 1 / _declared_rate(stream))

    return _read_from(container, stream, begin, read)


def decode_audio(
    container: InputContainer, stream: AudioStream, begin: float
) -> Iterator[tuple[float, av.AudioFrame]]:
    """Pieces of sound with their times, from the last that is not after `begin`."""

    def read() -> Iterator[tuple[float, av.AudioFrame]]:
        return _dated(
            container.decode(stream), first_time(stream), lambda frame: frame.samples / frame.sample_rate
        )

    return _read_from(container, stream, begin, read)


def _read_from(
    container: InputContainer,
    stream: VideoStream | AudioStream,
    begin: float,
    read: Callable[[], Iterator[tuple[float, _Frame]]],
) -> Iterator[tuple[float, _Frame]]:
    """What `read` gives after the container has been led to `begin`."""
    if stream.start_time is None or begin <= first_time(stream):
        return read()
    container.seek(floor(begin / tick(stream)), stream=stream)
    frames = read()
    try:
        first = next(frames, None)
    except FFmpegError:
        first = None
    if first is not None and first[0] <= begin:
        return chain([first], frames)
    # A container without an index may land too late or inside a packet: go through it from its start, which
    # MPEG-TS only finds from before it.
    container.seek(stream.start_time - ceil(_BEFORE_START / tick(stream)), stream=stream)
    return read()


def _dated(
    frames: Iterable[_Frame], first: float, seconds_of: Callable[[_Frame], float | Fraction]
) -> Iterator[tuple[float, _Frame]]:
    """Frames with their times; where they have none (raw H.264) their lengths are added up."""
    time = first
    for frame in frames:
        if frame.pts is not None:
            time = float(frame.pts * tick(frame))
        yield time, frame
        time += float(seconds_of(frame))


def duration(frame: av.VideoFrame) -> float:
    """Seconds for which a frame says it is shown; 0 if it does not say."""
    return float(frame.duration * tick(frame)) if frame.duration else 0.0


def with_end(
    dated: Iterable[tuple[float, av.VideoFrame]], least: float
) -> Iterator[tuple[float, av.VideoFrame | None]]:
    """The same, then the time at which the last frame vanishes; it is shown for `least` seconds or longer."""
    end = None
    for time, frame in dated:
        yield time, frame
        end = time + max(least, duration(frame))
    if end is not None:
        yield end, None


def frames_at(
    ended: Iterable[tuple[float, av.VideoFrame | None]], first: float, period: float
) -> Iterator[av.VideoFrame]:
    """The frame being shown at `first`, `first` + `period`, and so on; the earliest one also before it."""
    index = 0
    for (_, frame), (until, _) in pairwise(ended):
        assert frame is not None  # only the end has none
        while first + index * period < until:
            yield frame
            index += 1
