"""Decoded frames of a part of a file with the times at which they are shown.

Nothing is decoded before the last key frame before the part, nor after its end. Times are seconds of the
file's own clock.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from math import ceil, inf
from typing import TypeVar, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.codec import CodecContext
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from .deinterlacing import deinterlaced
from .packets import DecodingOrder, packets_from, running, times_of, to_start, with_next
from .streams import declared_rate, first_time, tick

_Frame = TypeVar("_Frame", av.VideoFrame, av.AudioFrame)
# Frames that no other refers to are not decoded until so many seconds, and frames, before the part.
_SKIP_UNTIL, _SKIP_FRAMES = 0.5, 3
# Seconds that an audio decoder needs before its output is right.
_PREROLL = 0.25
# Seconds that a time may differ from itself.
_CLOSE = 1e-6
# Decoders that may be told packet by packet to leave such frames out.
_SKIPPING = {"h264", "hevc"}
# Kinds of pictures that refer to no other.
_WHOLE = {PictureType.NONE, PictureType.I, PictureType.SI, PictureType.BI}
# Codecs whose transparency only this decoder reads.
_OF_TRANSPARENT = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


@dataclass
class Part:
    """What of a stream is decoded, in seconds.

    Args:
        begin: of the part; what is shown then is decoded, from the last key frame on.
        last: nothing that is decoded later is needed.
        period: only what is shown at `first`, `first` + `period`, … is needed; 0 if everything is.
        first: see `period`.
        skip_until: frames that vanish before and that no others refer to are left out.
        is_progressive: whether the first frame that was decoded is not interlaced; such that are need the
            frames beside them.
        is_cut: set when decoding has ended with the part, not with the file.
        has_key: set when the first frame that is decoded stands alone.
    """

    begin: float
    last: float = inf
    period: float = 0.0
    first: float = -inf
    skip_until: float = -inf
    is_progressive: bool = False
    is_cut: bool = False
    has_key: bool | None = None

    def needs(self, shown: float | None, until: float) -> bool:
        """Whether what is shown from one time until another belongs to the part.

        Where that cannot be said for sure, it does.
        """
        if shown is None:
            return True
        if until <= self.skip_until:
            return False
        if not (self.period and self.is_progressive):
            return True
        index = max(0, ceil((shown - _CLOSE - self.first) / self.period))
        return self.first + index * self.period < until + _CLOSE


def decode_video(
    container: InputContainer, stream: VideoStream, part: Part
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Pictures with their times, from the one that is shown at the part's beginning on."""
    decoder = _decoder_of(stream)
    if part.begin <= first_time(stream) or stream.start_time is None:
        return _shown_frames(running(container, stream), stream, decoder, part)
    part.skip_until = part.begin - max(_SKIP_UNTIL, float(_SKIP_FRAMES / declared_rate(stream)))
    frames = _shown_frames(packets_from(container, stream, part.begin), stream, decoder, part)
    try:
        first = next(frames, None)
    except FFmpegError:
        first = None
    if first is not None and first[0] <= part.begin and part.has_key:
        return chain([first], frames)
    to_start(container, stream)
    if decoder is not stream.codec_context:
        decoder.flush_buffers()
    # What is called a key frame is none: everything is decoded.
    part.skip_until, part.is_cut = -inf, False
    return _shown_frames(running(container, stream), stream, decoder, part)


def decode_audio(
    container: InputContainer, stream: AudioStream, begin: float, last: float = inf
) -> Iterator[tuple[float, av.AudioFrame]]:
    """Pieces of sound with their times, from some that come before `begin` to the one at `last`."""
    packets = packets_from(container, stream, begin - _PREROLL)
    part = Part(begin, last)
    frames = cast(Iterator[av.AudioFrame], decoded(packets, stream.codec_context, part))
    return _dated(frames, stream, lambda frame: frame.samples / frame.sample_rate)


def decoded(
    packets: Iterable[Packet], decoder: VideoCodecContext | AudioCodecContext, part: Part
) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """The frames of a part; after its end nothing is decoded but what was needed for it."""
    can_skip = isinstance(decoder, VideoCodecContext) and decoder.name in _SKIPPING
    order = DecodingOrder()
    for packet, shown, until in with_next(packets) if can_skip else ((each, None, inf) for each in packets):
        if order.is_past(packet, part.last):
            part.is_cut = True
            break
        if can_skip:
            decoder.skip_frame = "DEFAULT" if part.needs(shown, until) else "NONREF"
        yield from _decode(decoder, packet, part) if packet.size else ()
    yield from _decode(decoder, None, part)


def _decode(
    decoder: VideoCodecContext | AudioCodecContext, packet: Packet | None, part: Part
) -> Sequence[av.VideoFrame | av.AudioFrame]:
    """The frames that a packet completes; sound before the part may begin inside of what a decoder takes."""
    try:
        frames = decoder.decode(packet)
    except FFmpegError:
        shown, _ = times_of(packet) if packet is not None else (None, None)
        if isinstance(decoder, AudioCodecContext) and shown is not None and shown < part.begin:
            return []
        raise
    if frames and part.has_key is None:
        # These decoders know themselves from where on frames are whole.
        knows, first = decoder.name in _SKIPPING, frames[0]
        part.has_key = knows or isinstance(first, av.AudioFrame) or first.pict_type in _WHOLE
        part.is_progressive = isinstance(first, av.VideoFrame) and not first.interlaced_frame
    return frames


def _decoder_of(stream: VideoStream) -> VideoCodecContext:
    name = _OF_TRANSPARENT.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return stream.codec_context
    decoder = CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1
    return decoder


def _shown_frames(
    packets: Iterator[Packet], stream: VideoStream, decoder: VideoCodecContext, part: Part
) -> Iterator[tuple[float, av.VideoFrame]]:
    """The frames of a part with their times, without interlacing, from the one shown at its beginning on."""

    def one_later() -> None:
        part.is_progressive = False
        part.last += float(1 / declared_rate(stream))

    frames = cast(Iterator[av.VideoFrame], decoded(packets, decoder, part))
    dated = _dated(deinterlaced(frames, one_later), stream, lambda _: 1 / declared_rate(stream))
    held = None
    for each in dated:
        if held is not None and each[0] > part.begin:
            yield held
            yield each
            break
        held = each
    else:
        if held is not None:
            yield held
    yield from dated


def _dated(
    frames: Iterable[_Frame],
    stream: VideoStream | AudioStream,
    seconds_of: Callable[[_Frame], float | Fraction],
) -> Iterator[tuple[float, _Frame]]:
    """Frames with their times; where they have none (raw H.264) their lengths are added up."""
    time = first_time(stream)
    for frame in frames:
        if frame.pts is not None:
            time = float(frame.pts * (frame.time_base or tick(stream)))
        yield time, frame
        time += float(seconds_of(frame))


def duration(frame: av.VideoFrame) -> float:
    """Seconds for which a frame says it is shown; 0 if it does not say."""
    return float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0


def with_end(
    dated: Iterable[tuple[float, av.VideoFrame]], least: float, part: Part
) -> Iterator[tuple[float, av.VideoFrame | None]]:
    """The same, then the time at which the last frame vanishes; it is shown for `least` seconds or longer.

    What is shown at the end of a part that was cut there stays.
    """
    end = None
    for time, frame in dated:
        yield time, frame
        end = time + max(least, duration(frame))
    if end is not None:
        yield inf if part.is_cut else end, None


def frames_at(
    ended: Iterable[tuple[float, av.VideoFrame | None]], first: float, period: float, most: int
) -> Iterator[av.VideoFrame]:
    """The frame being shown at `first`, `first` + `period`, and so on; the earliest one also before it.

    Args:
        most: of these instants; after the last one no frame is waited for.
    """
    index = 0
    for (_, frame), (until, _) in pairwise(ended):
        assert frame is not None  # only the end has none
        while index < most and first + index * period < until:
            yield frame
            index += 1
        if index == most:
            return
