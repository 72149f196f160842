"""A clip: frames, sound and a caption that belong together."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from .embedding import embedded
from .framing import centre_crop, covering_size
from .sound import resample
from .timing import audio_samples, shown_frames
from .waveform import fit_length
from .writing import write_media


@dataclass(frozen=True, eq=False)
class Clip:
    """Pictures and sound of one clip.

    An image is a clip of one frame; a clip without sound has `waveform` None.

    Args:
        frames: bytes 0..255, RGB.
        fps: frames per second.
        waveform: samples in [-1, 1], starting with the first frame.
        sample_rate: samples per second and channel; given exactly when `waveform` is.
        caption: what is seen, in words.
    """

    frames: UInt8[Tensor, "frames height width 3"]
    fps: float
    waveform: Float[Tensor, "channels samples"] | None = None
    sample_rate: int | None = None
    caption: str | None = None

    def __post_init__(self) -> None:
        if self.frames.dtype != torch.uint8:
            raise ValueError(
                f"frames are {self.frames.dtype}; expected bytes 0..255 (torch.uint8), of floats in [0, 1] "
                "such as (frames * 255).round().to(torch.uint8)"
            )
        if self.frames.ndim != 4 or self.frames.shape[3] != 3:
            raise ValueError(
                f"frames have the shape {tuple(self.frames.shape)}; expected frames x height x width x 3"
            )
        if self.fps <= 0:
            raise ValueError(f"fps is {self.fps}; expected a positive number")
        if (self.waveform is None) != (self.sample_rate is None):
            raise ValueError("waveform and sample_rate are given together or not at all")

    def __repr__(self) -> str:
        sound = ""
        if self.waveform is not None:
            sound = f", {len(self.waveform)} channels of sound at {self.sample_rate} Hz"
        words = "" if self.caption is None else f", {self.caption!r}"
        return (
            f"<Clip {self.num_frames} frames of {self.width}x{self.height} at {self.fps:g} per second"
            f"{sound}{words}>"
        )

    def _repr_html_(self) -> str:
        """The clip as a notebook shows it: a film that plays, its caption below."""
        return embedded(self.frames, self.fps, self.waveform, self.sample_rate, self.caption)

    @property
    def num_frames(self) -> int:
        return self.frames.shape[0]

    @property
    def height(self) -> int:
        return self.frames.shape[1]

    @property
    def width(self) -> int:
        return self.frames.shape[2]

    @property
    def seconds(self) -> float:
        return self.num_frames / self.fps

    def window(self, start: int, num_frames: int) -> "Clip":
        """`num_frames` frames from frame `start`, with their sound.

        Raises:
            ValueError: if the window reaches outside the clip.
        """
        if start < 0 or num_frames < 1 or start + num_frames > self.num_frames:
            raise ValueError(
                f"window of frames {start} to {start + num_frames} is outside a clip of {self.num_frames}"
            )
        waveform = self.waveform
        if waveform is not None and self.sample_rate is not None:
            first = audio_samples(start, self.fps, self.sample_rate)
            last = audio_samples(start + num_frames, self.fps, self.sample_rate)
            waveform = waveform[:, first:last]
        return replace(self, frames=self.frames[start : start + num_frames], waveform=waveform)

    def resized(self, height: int, width: int) -> "Clip":
        """The clip scaled until it covers height x width, then cut around its centre.

        A clip that has this size already stays as it is.
        """
        if (self.height, self.width) == (height, width):
            return self
        size = covering_size(self.height, self.width, height, width)
        pixels = rearrange(self.frames, "frames height width rgb -> frames rgb height width")
        scaled = torch.nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True)
        frames = rearrange(scaled, "frames rgb height width -> frames height width rgb")
        return replace(self, frames=centre_crop(frames, height, width).contiguous())

    def silent(self) -> "Clip":
        """The clip without its sound."""
        return replace(self, waveform=None, sample_rate=None)

    def at_fps(self, fps: float) -> "Clip":
        """The clip at another frame rate: at every new instant, the frame that was being shown.

        Sound is cut, or filled with silence, to the duration of the new frames.
        """
        frames = self.frames[shown_frames(self.num_frames, self.fps, fps)]
        waveform = self.waveform
        if waveform is not None and self.sample_rate is not None:
            waveform = self.sound(audio_samples(len(frames), fps, self.sample_rate))
        return replace(self, frames=frames, fps=fps, waveform=waveform)

    def resampled(self, sample_rate: int, channels: int | None = None) -> "Clip":
        """The clip with its sound at another rate and, if given, number of channels.

        A clip without sound stays as it is.
        """
        if self.waveform is None or self.sample_rate is None:
            return self
        waveform = resample(self.waveform, self.sample_rate, sample_rate, channels)
        return replace(self, waveform=waveform, sample_rate=sample_rate)

    def sound(self, num_samples: int) -> Float[Tensor, "channels samples"]:
        """The waveform cut or filled with silence at its end to `num_samples`.

        Raises:
            ValueError: if the clip has no sound.
        """
        if self.waveform is None:
            raise ValueError("clip has no sound")
        return fit_length(self.waveform, num_samples)

    def save(self, path: str | Path) -> None:
        """Write the clip; the suffix names the format (.mp4, .webm, .gif, .png, .wav)."""
        write_media(path, self.frames, self.fps, self.waveform, self.sample_rate)


def write_clip(clip: Clip, path: str | Path) -> None:
    """Write a clip to a file, as `Clip.save` does.

    Raises:
        FileNotFoundError: if the folder to write to is not there.
        ValueError: if the suffix is unknown or the clip does not fit the format.
    """
    clip.save(path)
