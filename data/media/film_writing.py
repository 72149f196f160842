"""Films: frames and sound encoded into a container that browsers play, .mp4 or .webm."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import torch
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import Float, UInt8
from torch import Tensor

from .sound import audio_frame, resample
from .timing import audio_samples, exact_rate

Frames = UInt8[Tensor, "frames height width 3"]


@dataclass(frozen=True)
class Sound:
    waveform: Float[Tensor, "channels samples"]
    sample_rate: int


@dataclass(frozen=True)
class Film:
    """A container with its codecs; sound at other than these sample rates is resampled to the first."""

    video_codec: str
    video_options: dict[str, str]
    audio_codec: str
    sample_rates: tuple[int, ...]
    options: dict[str, str]
    even_sizes: bool


MP4 = Film(
    video_codec="libx264",
    # With macroblock trees the bytes that x264 writes depend on what was in memory before.
    video_options={"crf": "18", "x264-params": "mbtree=0"},
    audio_codec="aac",
    sample_rates=(48000, 96000, 88200, 64000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000),
    options={"movflags": "+faststart"},
    even_sizes=True,
)
WEBM = Film(
    video_codec="libvpx-vp9",
    video_options={"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"},
    audio_codec="libopus",
    sample_rates=(48000,),
    options={},
    even_sizes=False,
)


def write_film(path: Path, frames: Frames, fps: float, sound: Sound | None, film: Film) -> None:
    """Pictures and sound written side by side, a frame and its part of the sound at a time."""
    frames = _even(frames) if film.even_sizes else frames
    pieces = _sound_by_frame(sound, len(frames), fps, film) if sound is not None else []
    with av.open(str(path), "w", options=film.options) as container:
        video = container.add_stream(film.video_codec, exact_rate(fps), options=film.video_options)
        assert isinstance(video, VideoStream)
        video.height, video.width, video.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        codec = video.codec_context
        codec.color_range, codec.colorspace = ColorRange.MPEG, Colorspace.ITU709
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        audio = _audio_stream(container, film, pieces[0]) if pieces else None
        reformatter = VideoReformatter()
        colours = {"dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG}
        for index, frame in enumerate(video_frames(frames, fps)):
            container.mux(video.encode(reformatter.reformat(frame, format="yuv420p", threads=1, **colours)))
            if audio is not None and index < len(pieces):
                container.mux(audio.encode(pieces[index]))
        container.mux(video.encode(None))
        if audio is not None:
            container.mux(audio.encode(None))


def _audio_stream(container: OutputContainer, film: Film, piece: av.AudioFrame) -> AudioStream:
    """A stream for sound of the rate and the channels of this piece."""
    stream = container.add_stream(film.audio_codec, piece.sample_rate, layout=piece.layout.name)
    assert isinstance(stream, AudioStream)
    return stream


def _even(
    frames: UInt8[Tensor, "frames height width 3"],
) -> UInt8[Tensor, "frames even_height even_width 3"]:
    """The last row and column repeated where their number is odd."""
    if frames.shape[1] % 2:
        frames = torch.cat([frames, frames[:, -1:]], dim=1)
    if frames.shape[2] % 2:
        frames = torch.cat([frames, frames[:, :, -1:]], dim=2)
    return frames


def video_frames(frames: Frames, fps: float) -> Iterator[av.VideoFrame]:
    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels.contiguous().numpy(), "rgb24")
        frame.pts, frame.time_base = index, 1 / exact_rate(fps)
        yield frame


def _sound_by_frame(sound: Sound, num_frames: int, fps: float, film: Film) -> list[av.AudioFrame]:
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
