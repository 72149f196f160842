"""Frames and sound into files: films, loops, pictures and sound, by the suffix of the name."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import floor
from pathlib import Path

import av
import torch
from av.filter import Graph
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from ..runtime.files import replacing
from .sound import audio_frame, resample
from .timing import audio_samples, exact_rate
from .waveform import write_wav

Frames = UInt8[Tensor, "frames height width 3"]


@dataclass(frozen=True)
class _Sound:
    waveform: Float[Tensor, "channels samples"]
    sample_rate: int


def write_media(
    path: str | Path,
    frames: Frames,
    fps: float,
    waveform: Float[Tensor, "channels samples"] | None = None,
    sample_rate: int | None = None,
) -> None:
    """Write pictures and sound to a file, of which nothing is seen before it is complete.

    The suffix names the format: .mp4 (H.264 and AAC) and .webm (VP9 and Opus) play in browsers, .gif
    loops and has no sound, .png is the picture of a clip of one frame, .wav is the sound alone. H.264
    wants even sizes: an .mp4 repeats the last row or column of an odd one.

    Args:
        frames: bytes 0..255, RGB.
        waveform: samples in [-1, 1], starting with the first frame; with it the sample rate.

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
    if not len(frames) and suffix != ".wav":
        raise ValueError("the clip has no frames to write")
    sound = None
    if waveform is not None and sample_rate is not None:
        sound = _Sound(waveform, sample_rate)
    with replacing(path.absolute()) as temporary:
        _WRITERS[suffix](temporary, frames, fps, sound)


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
    # With macroblock trees the bytes that x264 writes depend on what was in memory before.
    video_options={"crf": "18", "x264-params": "mbtree=0"},
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


def _write_film(path: Path, frames: Frames, fps: float, sound: _Sound | None, film: _Film) -> None:
    frames = _even(frames) if film.even_sizes else frames
    pieces = _sound_by_frame(sound, len(frames), fps, film) if sound is not None else []
    with av.open(str(path), "w", options=film.options) as container:
        video = container.add_stream(film.video_codec, exact_rate(fps), options=film.video_options)
        video.height, video.width, video.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        codec = video.codec_context
        codec.color_range, codec.colorspace = ColorRange.MPEG, Colorspace.ITU709
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        streams = [video]
        if pieces:
            rate, layout = pieces[0].sample_rate, pieces[0].layout.name
            streams.append(container.add_stream(film.audio_codec, rate, layout=layout))
        reformatter = VideoReformatter()
        colours = {"dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG}
        for index, frame in enumerate(_video_frames(frames, fps)):
            container.mux(video.encode(reformatter.reformat(frame, format="yuv420p", threads=1, **colours)))
            if index < len(pieces):
                container.mux(streams[1].encode(pieces[index]))
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


def _video_frames(frames: Frames, fps: float) -> Iterator[av.VideoFrame]:
    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels.contiguous().numpy(), "rgb24")
        frame.pts, frame.time_base = index, 1 / exact_rate(fps)
        yield frame


def _sound_by_frame(sound: _Sound, num_frames: int, fps: float, film: _Film) -> list[av.AudioFrame]:
    """The sound in pieces of one frame's duration (as long as there is some), written side by side."""
    waveform, rate = sound.waveform, sound.sample_rate
    if waveform.shape[0] > 2:
        raise ValueError(f"the sound has {waveform.shape[0]} channels; one or two can be written")
    if rate not in film.sample_rates:
        rate = film.sample_rates[0]
        waveform = resample(waveform, sound.sample_rate, rate)
    ends = [audio_samples(index + 1, fps, rate) for index in range(num_frames - 1)]
    frames = []
    for start, piece in zip([0, *ends], waveform.tensor_split(ends, dim=1), strict=True):
        if piece.numel():
            frames.append(audio_frame(piece, rate))
            frames[-1].pts, frames[-1].time_base = start, Fraction(1, rate)
    return frames


def _write_gif(path: Path, frames: Frames, fps: float, sound: _Sound | None) -> None:
    """One palette for the whole clip; times in hundredths of a second, which is how a GIF counts."""
    if fps > 50:
        raise ValueError(f"a .gif has at most 50 frames per second, the clip {fps:g}; see Clip.at_fps")
    num_frames, height, width, _ = frames.shape
    graph = _palette_graph(height, width)
    times = [floor(index * 100 / exact_rate(fps)) for index in range(num_frames + 1)]
    for frame, time in zip(_video_frames(frames, fps), times, strict=False):
        frame.pts, frame.time_base = time, Fraction(1, 100)
        graph.push(frame)
    graph.push(None)
    options = {"loop": "0", "final_delay": str(times[-1] - times[-2])}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("gif", 100)
        stream.height, stream.width, stream.pix_fmt = height, width, "pal8"
        for _ in range(num_frames):
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


def _write_png(path: Path, frames: Frames, fps: float, sound: _Sound | None) -> None:
    if len(frames) != 1:
        raise ValueError(f"the clip has {len(frames)} frames; a .png holds one, see Clip.window")
    Image.fromarray(frames[0].contiguous().numpy()).save(path)


def _write_wav(path: Path, frames: Frames, fps: float, sound: _Sound | None) -> None:
    if sound is None:
        raise ValueError("the clip has no sound to write into a .wav")
    write_wav(sound.waveform, sound.sample_rate, path)


_WRITERS = {
    ".mp4": partial(_write_film, film=_MP4),
    ".webm": partial(_write_film, film=_WEBM),
    ".gif": _write_gif,
    ".png": _write_png,
    ".wav": _write_wav,
}

# Suffixes of the files that can be written.
WRITABLE = tuple(_WRITERS)
