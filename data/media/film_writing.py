"""Films: frames and sound encoded into a container: .mp4 or .webm, which browsers play, or .mkv, which loses
nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import av
import torch
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8
from torch import Tensor

from .sound import Sound, audio_frame, resampled
from .timing import audio_samples, exact_rate


@dataclass(frozen=True)
class Film:
    """A container with its codecs.

    Args:
        sample_rates: sound at others is resampled to the first; () takes any.
        pixel_format: FFmpeg's name of it.
    """

    video_codec: str
    video_options: dict[str, str]
    audio_codec: str
    sample_rates: tuple[int, ...]
    options: dict[str, str]
    even_sizes: bool
    pixel_format: str = "yuv420p"


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
# For pictures that must come back exactly, such as those whose tiles are read: H.264 between frames takes 60
# bytes for a frame of a grid world of 64x64, less than the lossy .mp4 does for its blurred edges.
MKV = Film(
    video_codec="libx264rgb",
    video_options={"qp": "0", "x264-params": "mbtree=0"},
    audio_codec="flac",
    sample_rates=(),
    options={"fflags": "+bitexact"},  # else Matroska writes a random number
    even_sizes=False,
    pixel_format="rgb24",
)


def write_film(
    path: Path,
    frames: Iterable[UInt8[Tensor, "height width 3"]],
    fps: float,
    sound: Sound | None,
    film: Film,
) -> None:
    """Pictures and sound written side by side, a frame and its part of the sound at a time.

    Both may be streams; no more of them is held than a frame and its sound.
    """
    even = (_even(frame) if film.even_sizes else frame for frame in frames)
    pieces = _SoundByFrame(sound, fps, film) if sound is not None else None
    with av.open(str(path), "w", options=film.options) as container:
        video, audio = None, None
        reformatter = VideoReformatter()
        is_rgb = film.pixel_format == "rgb24"
        colours = {} if is_rgb else {"dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG}
        for index, (pixels, following) in enumerate(pairwise(chain(even, [None]))):
            assert pixels is not None
            if video is None:
                video = _video_stream(container, film, fps, *pixels.shape[:2])
            piece = pieces.of_frame(index, is_last=following is None) if pieces is not None else None
            if audio is None and piece is not None and index == 0:
                audio = _audio_stream(container, film, piece)
            frame = video_frame(pixels, index, fps)
            drawn = reformatter.reformat(frame, format=film.pixel_format, threads=1, **colours)
            container.mux(video.encode(drawn))
            if audio is not None and piece is not None:
                container.mux(audio.encode(piece))
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))


def _video_stream(container: OutputContainer, film: Film, fps: float, height: int, width: int) -> VideoStream:
    video = container.add_stream(film.video_codec, exact_rate(fps), options=film.video_options)
    assert isinstance(video, VideoStream)
    video.height, video.width, video.pix_fmt = height, width, film.pixel_format
    if film.pixel_format == "rgb24":  # libx264rgb tags it
        return video
    codec = video.codec_context
    codec.color_range, codec.colorspace = ColorRange.MPEG, Colorspace.ITU709
    codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return video


def _audio_stream(container: OutputContainer, film: Film, piece: av.AudioFrame) -> AudioStream:
    """A stream for sound of the rate and the channels of this piece."""
    stream = container.add_stream(film.audio_codec, piece.sample_rate, layout=piece.layout.name)
    assert isinstance(stream, AudioStream)
    return stream


def _even(frame: UInt8[Tensor, "height width 3"]) -> UInt8[Tensor, "even_height even_width 3"]:
    """The last row and column repeated where their number is odd."""
    if frame.shape[0] % 2:
        frame = torch.cat([frame, frame[-1:]], dim=0)
    if frame.shape[1] % 2:
        frame = torch.cat([frame, frame[:, -1:]], dim=1)
    return frame


def video_frame(pixels: UInt8[Tensor, "height width 3"], index: int, fps: float) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(pixels.contiguous().numpy(), "rgb24")
    frame.pts, frame.time_base = index, 1 / exact_rate(fps)
    return frame


class _SoundByFrame:
    """Cuts sound into pieces of one frame's duration, as long as there is some."""

    def __init__(self, sound: Sound, fps: float, film: Film):
        self.fps, self.rate = fps, sound.sample_rate
        pieces = iter(sound.pieces)
        if film.sample_rates and self.rate not in film.sample_rates:
            self.rate = film.sample_rates[0]
            pieces = resampled(pieces, sound.sample_rate, self.rate)
        self.pieces = pieces
        self.held: list[Tensor] = []
        self.position = 0

    def of_frame(self, index: int, is_last: bool) -> av.AudioFrame | None:
        """The sound of a frame; of the last one all that is left."""
        wanted = audio_samples(index + 1, self.fps, self.rate) - self.position
        while is_last or sum(piece.shape[1] for piece in self.held) < wanted:
            piece = next(self.pieces, None)
            if piece is None:
                break
            self.held.append(piece)
        if not self.held:
            return None
        whole = torch.cat(self.held, dim=1)
        taken = whole if is_last else whole[:, :wanted]
        self.held = [whole[:, taken.shape[1] :]]
        if not taken.numel():
            return None
        frame = audio_frame(taken, self.rate)
        frame.pts, frame.time_base = self.position, Fraction(1, self.rate)
        self.position += taken.shape[1]
        return frame
