"""Clips in and out of files: the only file that imports the decoder (PyAV, FFmpeg's libraries).

Whatever FFmpeg reads can be read: phone videos on their side, pixels that are not square, variable
frame rates, any sound. Frames are taken by the time at which they are shown, counted from the first
one, and scaled while they are decoded, so that no long or large file is ever held whole.

    clip = read_clip("holiday.mov", start=3, end=5, fps=8, height=128, width=128, sample_rate=16000)
    write_clip(clip, "short.mp4")
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain, islice, pairwise
from math import ceil, cos, floor, inf, radians, sin
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.filter import Graph
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from av.video.stream import VideoStream
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from .audio import fit_length, place, write_wav
from .clip import Clip, centre_crop, covering_size
from .pretrained import replacing
from .timing import audio_samples, exact_rate

_Stream = TypeVar("_Stream", VideoStream, AudioStream)
_Dated = tuple[float, av.VideoFrame | av.AudioFrame | None]
_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
# Seconds by which containers round the times of sound; following that would be heard as clicks.
_JITTER = 0.02
# Seconds that a sound decoder needs before what it says is right.
_PREROLL = 0.25


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


def read_clip(
    path: str | Path,
    *,
    start: float = 0.0,
    end: float | None = None,
    fps: float | None = None,
    num_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
    caption: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Clip:
    """Read a video, or an image as a clip of one frame.

    The picture is the first video stream (cover art only if there is no other), turned upright, with
    square pixels; transparency is dropped. The sound is the first audio stream, from the first frame of
    the clip on, cut or filled with silence to the duration of the frames.

    Args:
        start, end: seconds after the first frame of the file.
        fps: frames per second; each frame is the latest one shown at its instant. If not given, the
            file's own rate, the mean of a variable one. An image is one frame at any rate.
        num_frames: at most so many frames.
        height, width: frames are scaled until they cover this size, then cut around their centre.
        sample_rate, channels: of the sound; the file's own if not given.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: if it has no pictures in that part, cannot be decoded or is over the limits.
        ValueError: if an argument makes no sense.
    """
    _check_request(start, end, fps, num_frames, height, width)
    path = Path(path)
    size = (height, width) if height and width else None
    with _opened(path) as container:
        stream = _picture_stream(container)
        own_rate = _own_rate(container, stream, path)
        rate = exact_rate(fps) if fps else own_rate
        most = min(num_frames or inf, inf if end is None else ceil((end - start) * rate - 1e-3))
        if _is_still(container, path):
            most = 1
        _check_duration(container, start, float(most / rate), limits)
        begin = _first_time(stream) + start
        # Without a wish for a rate each frame of the file is meant once, however its clock rounds.
        lead = _rounding(stream) if fps else float(1 / (2 * rate))
        timed = _ended(_decode(container, stream, begin), float(1 / own_rate))
        shown = _shown(timed, begin + lead, float(1 / rate))
        scale = _Scaler(stream, size, limits)
        frames = _collect(map(scale, islice(shown, None if most == inf else most)), rate, limits)
        if not frames:
            raise MediaError(f"it has no pictures after {start:g} s")
    waveform, sample_rate = _read_sound(path, begin, len(frames), float(rate), sample_rate, channels)
    return Clip(torch.stack(frames), float(rate), waveform, sample_rate, caption)


def read_waveform(
    path: str | Path,
    *,
    sample_rate: int | None = None,
    channels: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Float[Tensor, "channels samples"], int]:
    """The whole first audio stream of any file, and its sample rate.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: if it has no sound, cannot be decoded or is over the limits.
    """
    path = Path(path)
    with _opened(path) as container:
        if not container.streams.audio:
            raise MediaError("it has no sound")
        _check_duration(container, 0.0, inf, limits)
        first = _first_time(container.streams.audio[0])
        waveform, own_rate = _decode_sound(container, first, limits.max_seconds)
        if not 0 < waveform.shape[1] < limits.max_seconds * own_rate:
            raise MediaError(f"its sound is empty or longer than {limits.max_seconds:g} s")
        sample_rate = sample_rate or own_rate
        return resample(waveform, own_rate, sample_rate, channels), sample_rate


def resample(
    waveform: Float[Tensor, "channels samples"],
    sample_rate: int,
    new_rate: int,
    new_channels: int | None = None,
) -> Float[Tensor, "new_channels new_samples"]:
    """The same sound at another rate and, if given, in another number of channels.

    One channel is repeated; mixing down cannot clip (two channels become their mean).
    """
    channels, num_samples = waveform.shape
    new_channels = new_channels or channels
    if num_samples == 0:
        return waveform.new_zeros(new_channels, 0)
    mixed_channels = 1 if channels == 1 else new_channels
    if (sample_rate, channels) != (new_rate, mixed_channels):
        layout, options = _layout(mixed_channels), {"rematrix_maxval": "1.0"}
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=new_rate, options=options)
        pieces = (_audio_frame(piece, sample_rate) for piece in waveform.split(2**16, dim=1))
        converted = [frame for piece in chain(pieces, [None]) for frame in resampler.resample(piece)]
        waveform = torch.cat([torch.from_numpy(frame.to_ndarray()) for frame in converted], dim=1)
        waveform = fit_length(waveform, round(num_samples * Fraction(new_rate, sample_rate)))
    return waveform.expand(new_channels, -1).contiguous()


def write_clip(clip: Clip, path: str | Path) -> None:
    """Write a clip to a file, of which nothing is seen before it is complete.

    The suffix names the format: .mp4 (H.264 and AAC) and .webm (VP9 and Opus) play in browsers, .gif
    loops and has no sound, .png is the picture of a clip of one frame, .wav is the sound alone. H.264
    wants even sizes: an .mp4 repeats the last row or column of an odd one.

    Raises:
        FileNotFoundError: if the folder to write to is not there.
        ValueError: if the suffix is unknown or the clip does not fit the format.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise ValueError(f"{path} has suffix {path.suffix!r}; expected one of {', '.join(_WRITERS)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"output folder {path.parent} is not there")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; expected the name of a file to write")
    if clip.num_frames == 0 and suffix != ".wav":
        raise ValueError("the clip has no frames to write")
    with replacing(path.absolute()) as temporary:
        _WRITERS[suffix](clip, temporary)


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


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    """The container in a file; whatever is wrong with it becomes a `MediaError` that names the file."""
    if path.is_dir():
        raise MediaError(f"{path} is a folder; expected a media file")
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there")
    try:
        # A playlist must not reach into the network, nor a colon in a name be taken for a protocol.
        options = {"protocol_whitelist": "file"}
        with av.open(str(path.absolute()), options=options, metadata_errors="replace") as container:
            yield container
    except MediaError as error:
        raise MediaError(f"{path}: {error}") from error
    except av.error.FFmpegError as error:
        raise MediaError(f"{path}: not a media file, or damaged ({error.strerror})") from error


def _picture_stream(container: InputContainer) -> VideoStream:
    streams = container.streams.video
    if not streams:
        has_sound = bool(container.streams.audio)
        raise MediaError("it is sound only; read_waveform reads it" if has_sound else "it has no pictures")
    films = [stream for stream in streams if not stream.disposition & Disposition.attached_pic]
    return _decodable((films or streams)[0])


def _decodable(stream: _Stream) -> _Stream:
    if stream.codec_context is None:
        raise MediaError(f"there is no decoder for its {stream.type}")
    # Workers read clips side by side; threads inside each make all of them slower.
    stream.codec_context.thread_count = 1
    return stream


def _is_still(container: InputContainer, path: Path) -> bool:
    """Whether the file is one picture: the duration that FFmpeg gives to it means nothing."""
    name = container.format.name
    if name not in ("image2", "gif", "apng") and not name.endswith("_pipe"):
        return False
    with _opened(path) as again:
        packets = (packet for packet in again.demux(video=0) if packet.size)
        return len(list(islice(packets, 2))) == 1


def _declared_rate(stream: VideoStream) -> Fraction:
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def _own_rate(container: InputContainer, stream: VideoStream, path: Path) -> Fraction:
    """Frames per second; measured where the header has none (GIF) or the clock's (1000 in some Matroska)."""
    declared = _declared_rate(stream)
    if declared <= 250 and container.format.name != "gif":
        return declared
    with _opened(path) as again:
        packets = islice(again.demux(again.streams[stream.index]), 250)
        times = [packet.pts * packet.time_base for packet in packets if packet.pts is not None]
    span = max(times) - min(times) if times else 0
    return (len(times) - 1) / span if span else declared


def _check_duration(container: InputContainer, start: float, most: float, limits: Limits) -> None:
    """Fail before a long file is decoded rather than after."""
    seconds = min(most, container.duration / av.time_base - start) if container.duration else 0.0
    if seconds > limits.max_seconds:
        raise MediaError(f"{seconds:.0f} s are asked for; at most {limits.max_seconds:g} s are read at once")


def _first_time(stream: VideoStream | AudioStream) -> float:
    return 0.0 if stream.start_time is None else float(stream.start_time * stream.time_base)


def _rounding(stream: VideoStream) -> float:
    """How much too late a frame may be dated: half a tick, unless the clock ticks once a frame."""
    tick = float(stream.time_base)
    return (tick / 2 if tick <= 0.01 else 0.0) + 1e-6


def _decode(container: InputContainer, stream: VideoStream | AudioStream, begin: float) -> Iterator[_Dated]:
    """Frames with their times, from the last key frame that is not after `begin`."""
    if stream.start_time is None or begin <= _first_time(stream):
        return _dated(container, stream)
    container.seek(floor(begin / stream.time_base), stream=stream)
    frames = _dated(container, stream)
    try:
        first = next(frames, None)
    except av.error.FFmpegError:
        first = None
    if first is not None and first[0] <= begin:
        return chain([first], frames)
    # A container without an index may land too late or inside a packet: go through it from its start.
    container.seek(stream.start_time, stream=stream)
    return _dated(container, stream)


def _dated(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[_Dated]:
    """Frames with their times; where a stream has none (raw H.264) frames are counted."""
    time = _first_time(stream)
    for frame in container.decode(stream):
        if frame.pts is not None:
            time = float(frame.pts * frame.time_base)
        yield time, frame
        is_sound = isinstance(frame, av.AudioFrame)
        time += frame.samples / frame.sample_rate if is_sound else float(1 / _declared_rate(stream))


def _ended(dated: Iterable[_Dated], least: float) -> Iterator[_Dated]:
    """The same, then the time at which the last frame vanishes; it is shown for `least` seconds or longer."""
    end = None
    for time, frame in dated:
        yield time, frame
        end = time + max(least, float((frame.duration or 0) * frame.time_base))
    if end is not None:
        yield end, None


def _shown(dated: Iterable[_Dated], first: float, period: float) -> Iterator[av.VideoFrame]:
    """The frame being shown at `first`, `first` + `period`, and so on; the earliest one also before it."""
    index = 0
    for (_, frame), (until, _) in pairwise(dated):
        while first + index * period < until:
            yield frame
            index += 1


class _Scaler:
    """Decoded frames to bytes: upright, with square pixels, in the size that is asked for."""

    def __init__(self, stream: VideoStream, size: tuple[int, int] | None, limits: Limits):
        self.aspect = float(stream.sample_aspect_ratio or 1)
        self.size = size
        self.max_pixels = limits.max_pixels
        self.reformatter = VideoReformatter()
        self._check(stream.codec_context.height, stream.codec_context.width)

    def __call__(self, frame: av.VideoFrame) -> UInt8[Tensor, "height width 3"]:
        is_transposed, flipped = _orientation(frame)
        height, width = frame.height, max(1, round(frame.width * self.aspect))
        if is_transposed:
            height, width = width, height
        if self.size:
            height, width = covering_size(height, width, *self.size)
        self._check(height, width)
        if is_transposed:
            height, width = width, height
        rgb = self.reformatter.reformat(frame, width, height, "rgb24", interpolation=_SCALING, threads=1)
        picture = torch.from_numpy(rgb.to_ndarray())
        picture = (picture.transpose(0, 1) if is_transposed else picture).flip(flipped)
        return (centre_crop(picture, *self.size) if self.size else picture).contiguous()

    def _check(self, height: int, width: int) -> None:
        if height * width > self.max_pixels:
            raise MediaError(f"its frames are {height}x{width}; at most {self.max_pixels} pixels are read")


def _orientation(frame: av.VideoFrame) -> tuple[bool, list[int]]:
    """How to turn stored pixels upright: whether to swap rows and columns, then which axes to reverse.

    The display matrix takes a stored (x, y) to (a x + c y, b x + d y). Quarter turns and mirroring are
    followed, as by players.
    """
    try:
        matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)
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


def _collect(pictures: Iterable[Tensor], rate: Fraction, limits: Limits) -> list[Tensor]:
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


def _read_sound(
    path: Path, begin: float, num_frames: int, fps: float, sample_rate: int | None, channels: int | None
) -> tuple[Float[Tensor, "channels samples"] | None, int | None]:
    """The sound of frames that begin at the time `begin` of the file; None if it has none."""
    with _opened(path) as container:
        if not container.streams.audio:
            return None, None
        # What follows the end shapes the last samples when they are resampled.
        waveform, own_rate = _decode_sound(container, begin, num_frames / fps + _JITTER)
        sample_rate = sample_rate or own_rate
        waveform = resample(waveform, own_rate, sample_rate, channels)
    return fit_length(waveform, audio_samples(num_frames, fps, sample_rate)), sample_rate


def _decode_sound(
    container: InputContainer, begin: float, seconds: float
) -> tuple[Float[Tensor, "channels samples"], int]:
    """At most `seconds` of a container's first audio stream from the time `begin`, and the sample rate.

    Every piece goes where its time says, so sound that sets in late leaves silence, and so does a gap.
    """
    stream = _decodable(container.streams.audio[0])
    kind = _sound_kind(stream)
    resampler = av.AudioResampler(format="fltp")
    pieces, position, surplus = [], None, 0
    for time, frame in _decode(container, stream, begin - _PREROLL):
        kind = _sound_kind(frame) if position is None else kind
        if _sound_kind(frame) != kind:
            raise MediaError("its sound changes sample rate or channels on the way")
        dated = round((time - begin) * frame.sample_rate)
        if position is None or abs(dated - position) > _JITTER * frame.sample_rate:
            position = dated
        if position >= seconds * frame.sample_rate:
            break
        for converted in resampler.resample(frame):
            if position + converted.samples > 0:
                pieces.append((position, torch.from_numpy(converted.to_ndarray())))
            position += converted.samples
        surplus = _surplus(frame)
    sample_rate, _, channels = kind
    length = max(0, min((position or 0) - surplus, round(seconds * sample_rate)))
    return place(pieces, channels, length), sample_rate


def _sound_kind(sound: AudioStream | av.AudioFrame) -> tuple[int, str, int]:
    return sound.sample_rate, sound.layout.name, sound.layout.nb_channels


def _surplus(frame: av.AudioFrame) -> int:
    """Samples that fill up a codec's last block, where the container counts single samples and tells."""
    samples_per_tick = frame.time_base * frame.sample_rate
    if not frame.duration or samples_per_tick > 1:
        return 0
    return max(0, frame.samples - round(frame.duration * samples_per_tick))


def _layout(channels: int) -> str:
    """FFmpeg's usual arrangement of so many channels."""
    return f"{channels}c"


def _audio_frame(waveform: Float[Tensor, "channels samples"], sample_rate: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(waveform.contiguous().numpy(), "fltp", _layout(waveform.shape[0]))
    frame.sample_rate = sample_rate
    return frame


@dataclass(frozen=True)
class _Film:
    """A container with its codecs; sound at other than these sample rates is resampled to the first."""

    video_codec: str
    video_options: dict[str, str]
    audio_codec: str
    sample_rates: tuple[int, ...]
    options: dict[str, str]
    even_sizes: bool


_MP4 = _Film(
    video_codec="libx264",
    video_options={"crf": "18"},
    audio_codec="aac",
    sample_rates=(48000, 96000, 88200, 64000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000),
    options={"movflags": "+faststart"},
    even_sizes=True,
)
_WEBM = _Film(
    video_codec="libvpx-vp9",
    video_options={"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"},
    audio_codec="libopus",
    sample_rates=(48000,),
    options={},
    even_sizes=False,
)


def _write_film(clip: Clip, path: Path, film: _Film) -> None:
    frames = _even(clip.frames) if film.even_sizes else clip.frames
    sound = _sound_by_frame(clip, film)
    with av.open(str(path), "w", options=film.options) as container:
        video = container.add_stream(film.video_codec, exact_rate(clip.fps), options=film.video_options)
        video.height, video.width, video.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        codec = video.codec_context
        codec.color_range, codec.colorspace = ColorRange.MPEG, Colorspace.ITU709
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        streams = [video]
        if sound:
            rate, layout = sound[0].sample_rate, sound[0].layout.name
            streams.append(container.add_stream(film.audio_codec, rate, layout=layout))
        reformatter = VideoReformatter()
        colours = {"dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG}
        for index, frame in enumerate(_video_frames(frames, clip.fps)):
            container.mux(video.encode(reformatter.reformat(frame, format="yuv420p", threads=1, **colours)))
            if index < len(sound):
                container.mux(streams[1].encode(sound[index]))
        for stream in streams:
            container.mux(stream.encode(None))


def _even(
    frames: UInt8[Tensor, "frames height width 3"],
) -> UInt8[Tensor, "frames even_height even_width 3"]:
    """The last row and column repeated where their number is odd."""
    if frames.shape[1] % 2:
        frames = torch.cat([frames, frames[:, -1:]], dim=1)
    if frames.shape[2] % 2:
        frames = torch.cat([frames, frames[:, :, -1:]], dim=2)
    return frames


def _video_frames(frames: UInt8[Tensor, "frames height width 3"], fps: float) -> Iterator[av.VideoFrame]:
    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels.contiguous().numpy(), "rgb24")
        frame.pts, frame.time_base = index, 1 / exact_rate(fps)
        yield frame


def _sound_by_frame(clip: Clip, film: _Film) -> list[av.AudioFrame]:
    """The sound in pieces of one frame's duration (as long as there is some), written side by side."""
    if clip.waveform is None or clip.sample_rate is None:
        return []
    if clip.waveform.shape[0] > 2:
        raise ValueError(f"the sound has {clip.waveform.shape[0]} channels; one or two can be written")
    waveform, rate = clip.waveform, clip.sample_rate
    if rate not in film.sample_rates:
        rate = film.sample_rates[0]
        waveform = resample(waveform, clip.sample_rate, rate)
    ends = [audio_samples(index + 1, clip.fps, rate) for index in range(clip.num_frames - 1)]
    frames = []
    for start, piece in zip([0, *ends], waveform.tensor_split(ends, dim=1), strict=True):
        if piece.numel():
            frames.append(_audio_frame(piece, rate))
            frames[-1].pts, frames[-1].time_base = start, Fraction(1, rate)
    return frames


def _write_gif(clip: Clip, path: Path) -> None:
    """One palette for the whole clip; times in hundredths of a second, which is how a GIF counts."""
    if clip.fps > 50:
        raise ValueError(f"a .gif has at most 50 frames per second, the clip {clip.fps:g}; see Clip.at_fps")
    graph = _palette_graph(clip.height, clip.width)
    times = [floor(index * 100 / exact_rate(clip.fps)) for index in range(clip.num_frames + 1)]
    for frame, time in zip(_video_frames(clip.frames, clip.fps), times, strict=False):
        frame.pts, frame.time_base = time, Fraction(1, 100)
        graph.push(frame)
    graph.push(None)
    options = {"loop": "0", "final_delay": str(times[-1] - times[-2])}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("gif", 100)
        stream.height, stream.width, stream.pix_fmt = clip.height, clip.width, "pal8"
        for _ in range(clip.num_frames):
            container.mux(stream.encode(graph.pull()))
        container.mux(stream.encode(None))


def _palette_graph(height: int, width: int) -> Graph:
    """Finds the 256 best colours of all frames, then draws each frame with them."""
    graph = Graph()
    size = f"{width}x{height}"
    source = graph.add("buffer", video_size=size, pix_fmt="rgb24", time_base="1/100", pixel_aspect="1/1")
    filters = ("split", "palettegen", "paletteuse", "buffersink")
    split, find, draw, sink = (graph.add(name) for name in filters)
    source.link_to(split)
    split.link_to(find, 0, 0)
    split.link_to(draw, 1, 0)
    find.link_to(draw, 0, 1)
    draw.link_to(sink)
    graph.configure()
    return graph


def _write_png(clip: Clip, path: Path) -> None:
    if clip.num_frames != 1:
        raise ValueError(f"the clip has {clip.num_frames} frames; a .png holds one, see Clip.window")
    Image.fromarray(clip.frames[0].contiguous().numpy()).save(path)


def _write_wav(clip: Clip, path: Path) -> None:
    if clip.waveform is None or clip.sample_rate is None:
        raise ValueError("the clip has no sound to write into a .wav")
    write_wav(clip.waveform, clip.sample_rate, path)


_WRITERS = {
    ".mp4": partial(_write_film, film=_MP4),
    ".webm": partial(_write_film, film=_WEBM),
    ".gif": _write_gif,
    ".png": _write_png,
    ".wav": _write_wav,
}
