"""Packets of one stream from where a decoder has to begin, without decoding anything.

Times are seconds of the file's own clock, and go on where the clock starts again (transport streams that were
joined by `cat`).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from itertools import chain, islice
from math import ceil, floor, inf
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream

from .streams import OPTIONS, Blob, first_time, has_film, open_media, tick

_BEFORE_START = 10  # seconds
# Seconds by which reordering may put off frames of containers without times of display.
_REORDERED = 1.0
# At most so many pictures are shown before one that was decoded earlier (H.264: max_dec_frame_buffering).
_MOST_REORDERED = 16
# Compressed bytes that are held while the last key frame is looked for.
_MOST_HELD = 2**26
# FFmpeg's AVFMT_TS_DISCONT: in files of this kind time stamps may start again.
_RESTARTS = 0x0200
# MPEG program streams date few of their frames; FFmpeg counts on from there, wrongly after a seek.
_GUESSED = {"mpeg"}
# As FFmpeg's own programs judge: a step forward by so many seconds, or back by so many, is a new beginning.
_FORWARD, _BACK = 10.0, 0.1


def packets_from(
    container: InputContainer, stream: VideoStream | AudioStream, begin: float
) -> Iterator[Packet]:
    """Packets of a stream from its last key frame that is not after `begin`; from its first if there is none.

    Where the container's index leads too far, or there is none, an earlier place is tried, in the end the
    start of the file.
    """
    first = first_time(stream)
    if begin <= first or stream.start_time is None:
        yield from running(container, stream)
        return
    if container.format.name not in _GUESSED and not restarts(container):
        back = 0.0
        while begin - back > first:
            try:
                container.seek(floor((begin - back) / tick(stream)), stream=stream)
            except FFmpegError:
                break
            packets = running(container, stream)
            held, has_key = _until(packets, begin)
            if has_key:
                yield from chain(held, packets)
                return
            back = max(2 * back, 1.0)
        to_start(container, stream)
    packets = running(container, stream)
    held, _ = _until(packets, begin)
    yield from chain(held, packets)


def to_start(container: InputContainer, stream: VideoStream | AudioStream) -> None:
    """Lead the container to the stream's first packet, which MPEG-TS only finds from before it."""
    start = stream.start_time or 0
    try:
        container.seek(start - ceil(_BEFORE_START / tick(stream)), stream=stream)
    except FFmpegError:  # containers without an index know no place before it
        container.seek(start, stream=stream)


def can_restart(container: InputContainer) -> bool:
    """Whether time stamps of files of this kind may start again on the way."""
    return bool(container.format.flags & _RESTARTS)


def restarts(container: InputContainer) -> bool:
    """Whether they do in this file; all its packets are gone through once, and the answer is remembered."""
    if not can_restart(container):
        return False
    if container.file is not None:  # the content of a file, in memory
        return True
    state = Path(container.name).stat()
    return _restarts(container.name, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _restarts(name: str, size: int, mtime_ns: int) -> bool:
    with av.open(name, options=dict(OPTIONS), metadata_errors="replace") as container:
        clock = _Clock()
        return any(clock.follow(packet) for packet in container.demux(*_timed_streams(container)))


def running(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[Packet]:
    """Packets of a stream from where the container stands, and at the file's end the empty one."""
    if not can_restart(container):
        if has_film(container):  # what is not read costs nothing; a song's cover would not come, either
            for other in container.streams:
                other.discard = Discard.default if other is stream else Discard.all
        return iter(container.demux(stream))
    clock = _Clock()
    return _followed(clock, container.demux(*_timed_streams(container)), stream)


def _timed_streams(container: InputContainer) -> tuple[VideoStream | AudioStream, ...]:
    return (*container.streams.video, *container.streams.audio)


def _followed(
    clock: "_Clock", packets: Iterable[Packet], stream: VideoStream | AudioStream
) -> Iterator[Packet]:
    for packet in packets:
        if offset := clock.follow(packet):
            _move(packet, round(offset / tick(packet)))
        if packet.stream is stream:
            yield packet


class _Clock:
    """Finds where time stamps start again, as FFmpeg's own programs do.

    All streams share the offset of the one that meets the new beginning first, so that sound stays with its
    pictures.
    """

    def __init__(self) -> None:
        self.offset = 0.0
        self.last, self.following = dict[int, float](), dict[int, float]()

    def follow(self, packet: Packet) -> float:
        """Seconds that a packet's time stamps have to be moved by."""
        time = packet.dts if packet.dts is not None else packet.pts
        if time is None:
            return 0.0
        scale, index = float(tick(packet)), packet.stream_index
        now = time * scale + self.offset
        expected = self.following.get(index, max(self.following.values(), default=now))
        if abs(now - expected) > _FORWARD or now + _BACK < self.last.get(index, -inf):
            self.offset += expected - now
            now = expected
        self.last[index] = now
        self.following[index] = now + (packet.duration or 0) * scale
        return self.offset


def film_seconds(container: InputContainer, stream: VideoStream, media: Path | Blob, rate: Fraction) -> float:
    """From the first frame to the end of the last: as the header says or, where it does not, by the packets.

    They are not decoded; where there is an index only those from the last key frame on are looked at.
    """
    if stream.duration and not can_restart(container):
        return float(stream.duration * tick(stream))
    with open_media(media) as again:
        film = again.streams.video[container.streams.video.index(stream)]
        if container.duration and not can_restart(container):
            with suppress(FFmpegError):
                last = first_time(stream) + container.duration / av.time_base
                again.seek(floor(last / tick(film)), stream=film)
        count, begin, end = 0, first_time(stream), 0.0
        for packet in running(again, film):
            shown, _ = times_of(packet)
            count += packet.size > 0
            if packet.size and shown is not None:
                length = float(packet.duration * tick(packet)) if packet.duration else float(1 / rate)
                end = max(end, shown + length - begin)
    return end or float(count / rate)


def _move(packet: Packet, ticks: int) -> None:
    if packet.dts is not None:
        packet.dts += ticks
    if packet.pts is not None:
        packet.pts += ticks


def _until(packets: Iterator[Packet], begin: float) -> tuple[list[Packet], bool]:
    """The packets up to the first that is decoded after `begin`, without those before the last key frame.

    Also whether they begin with a key frame that is shown by then. Since nothing is shown before it is
    decoded, no later key frame is.
    """
    held, num_bytes, has_key = list[Packet](), 0, False
    order = DecodingOrder()
    for packet in packets:
        shown, _ = times_of(packet)
        if packet.is_keyframe and shown is not None and shown <= begin:
            held, num_bytes, has_key = [], 0, True
        held.append(packet)
        num_bytes += packet.size
        if order.is_past(packet, begin) or num_bytes > _MOST_HELD:
            break
    return held, has_key


class DecodingOrder:
    """Tells from packets in order when no later one is shown by some time."""

    def __init__(self) -> None:
        self.late = 0.0

    def is_past(self, packet: Packet, time: float) -> bool:
        """Whether neither this packet nor any after it is shown by `time`.

        What is decoded later is shown later, but for files whose times of decoding are all too late by what
        reordering takes, or that have no others. Of a packet that does not say when it is decoded nothing
        is known.
        """
        shown, decoded = times_of(packet)
        if shown is None or decoded is None:
            return False
        self.late = max(self.late, decoded - shown, _REORDERED if packet.pts is None else 0.0)
        return min(shown, decoded) > time and decoded > time + self.late


def times_of(packet: Packet) -> tuple[float | None, float | None]:
    """When a packet is shown, or decoded where it does not say, and when it is decoded."""
    base = tick(packet)
    return _seconds(packet.dts if packet.pts is None else packet.pts, base), _seconds(packet.dts, base)


def _seconds(ticks: int | None, base: Fraction) -> float | None:
    """As float(ticks * base), without making a fraction of it."""
    return None if ticks is None else ticks * base.numerator / base.denominator


def with_next(packets: Iterable[Packet]) -> Iterator[tuple[Packet, float | None, float]]:
    """Packets, each with the time at which its picture is shown and one until which it is shown at most.

    That is the time of the next picture to be shown, looked for as far ahead as codecs reorder them; infinite
    of the last one, and of one that does not say when it is shown.
    """
    ahead = deque[tuple[Packet, float | None]]()
    source = iter(packets)
    while True:
        for packet in islice(source, _MOST_REORDERED + 1 - len(ahead)):
            ahead.append((packet, times_of(packet)[0]))
        if not ahead:
            return
        packet, shown = ahead.popleft()
        times = (time for _, time in ahead if time is not None)
        yield packet, shown, min((time for time in times if shown is not None and time > shown), default=inf)
