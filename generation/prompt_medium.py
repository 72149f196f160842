"""A medium of a prompt, from which only the part is read that a task needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..data.media.clip import Clip
from ..data.media.probe import MediaInfo, probe_header
from ..data.media.reading import read_clip, read_waveform
from ..data.media.streams import MediaError
from ..data.media.timing import audio_samples, shown_frames
from ..data.runtime.notes import notify
from .prompt_arrays import Pictures, clip_of, waveform_of

Given = Clip | str | Path | Pictures
GivenSound = Clip | str | Path | tuple[Any, Any]
"""Of the pair: samples and sample rate, see `waveform_of`."""

_SMALL = 8  # pixels of pictures that are not looked at
_AFTER = 0.1  # seconds of sound after the end, which shape it when it is resampled


@dataclass(frozen=True, eq=False)
class Medium:
    """A clip or a file, shown at the rate of a model.

    Args:
        source: what is read from.
        info: its size, rate and length; fps is 0 for a picture.
        fps: to show it at.
    """

    source: Clip | Path
    info: MediaInfo
    fps: float

    @classmethod
    def of(cls, given: Given, fps: float) -> "Medium":
        """Look at what is given.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it has no pictures, or cannot be decoded.
        """
        if isinstance(given, (str, Path)):
            info = probe_header(given)
            if info.kind == "sound":
                raise MediaError(f"{given} has sound and no pictures")
            return cls(Path(given), info, fps)
        clip = given if isinstance(given, Clip) else clip_of(given, fps)
        own = 0.0 if clip.num_frames == 1 else clip.fps
        return cls(clip, MediaInfo(clip.height, clip.width, own, clip.num_frames, clip.seconds), fps)

    @property
    def num_frames(self) -> int:
        """Frames at the rate that it is shown at; of a file, as its header says."""
        if not self.info.fps:
            return 1
        return len(shown_frames(max(self.info.num_frames, 1), self.info.fps, self.fps))

    def read(
        self,
        first: int = 0,
        num_frames: int | None = None,
        size: tuple[int, int] | None = None,
        *,
        sound: bool = False,
    ) -> Clip:
        """Frames from number `first` on, at the rate that it is shown at.

        Args:
            num_frames: at most so many.
            size: height and width that they are scaled to cover and cut to; their own if not given.
            sound: whether the sound of a file is read.

        Raises:
            MediaError: if the file has no frames there.
        """
        if isinstance(self.source, Path):
            height, width = size or (None, None)
            clip = read_clip(
                self.source,
                start=first / self.fps,
                fps=self.fps,
                num_frames=num_frames,
                height=height,
                width=width,
                sound=sound,
            )
            return replace(clip, fps=self.fps)
        clip = self.source.at_fps(self.fps) if self.info.fps not in (0.0, self.fps) else self.source
        rest = clip.num_frames - first
        clip = replace(clip, fps=self.fps).window(first, min(num_frames or rest, rest))
        return clip.resized(*size) if size else clip

    def last(self, num_frames: int, size: tuple[int, int], *, sound: bool) -> Clip:
        """The last frames, all of them if there are fewer; sought from the end that the header says."""
        if self.num_frames > num_frames:
            try:
                clip = self.read(self.num_frames - num_frames, None, size, sound=sound)
            except MediaError:  # the file ends before that
                clip = None
            if clip is not None and clip.num_frames >= num_frames:
                return clip.window(clip.num_frames - num_frames, num_frames)
        clip = self.read(0, None, size, sound=sound)
        kept = min(num_frames, clip.num_frames)
        return clip.window(clip.num_frames - kept, kept)

    def changes(self, size: tuple[int, int] | None) -> list[str]:
        """How rate and size are changed, in words."""
        found, changes = (self.info.height, self.info.width), []
        if self.info.fps and self.info.fps != self.fps:
            changes.append(f"{self.info.fps:g} fps are shown at {self.fps:g} fps")
        if size is not None and found != size:
            changes.append("frames of {}x{} are resized and cut to {}x{}".format(*found, *size))
        return changes


def sound_of(given: GivenSound, num_frames: int, fps: float, sample_rate: int) -> Clip:
    """The sound of something, mono and as long as so many frames; its pictures mean nothing.

    A warning says what is cut or filled up.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if there is no sound, or it cannot be decoded.
    """
    seconds, wanted = None, num_frames / fps
    if isinstance(given, (str, Path)):
        info = probe_header(given)
        seconds = info.seconds
        if not info.sample_rate:
            raise ValueError(f"{given} has no sound")
        if info.kind == "sound":
            waveform, rate = read_waveform(given, seconds=wanted + _AFTER)
        else:
            # From the first picture on, which stays in step with it.
            clip = read_clip(given, fps=fps, num_frames=num_frames, height=_SMALL, width=_SMALL)
            waveform, rate = clip.waveform, clip.sample_rate
    elif isinstance(given, Clip):
        waveform, rate = given.waveform, given.sample_rate
    else:
        waveform, rate = waveform_of(given)
    if waveform is None or rate is None:
        raise ValueError(f"{given if isinstance(given, (str, Path)) else 'the clip'} has no sound")
    lasts = waveform.shape[1] / rate if seconds is None else seconds
    surround = [f"its {len(waveform)} channels are mixed down by ITU-R BS.775"] if len(waveform) > 2 else []
    say("audio", _length_change(lasts, wanted) + surround)
    needed = audio_samples(num_frames, fps, rate)
    waveform = waveform[:, : needed + round(_AFTER * rate)]
    black = torch.zeros(1, 1, 1, 3, dtype=torch.uint8)
    clip = Clip(black, fps, waveform, rate).resampled(sample_rate, channels=1)
    return replace(clip, waveform=clip.sound(audio_samples(num_frames, fps, sample_rate)))


def _length_change(seconds: float, wanted: float) -> list[str]:
    if seconds > wanted + 0.05:
        return [f"the first {wanted:.1f} s of {seconds:.1f} s are used"]
    if seconds < wanted - 0.05:
        return [f"it lasts {seconds:.2g} s; silence follows up to {wanted:.1f} s"]
    return []


def say(name: str, changes: Sequence[str]) -> None:
    """Warn of what was changed of an input, if anything was."""
    if changes:
        notify(f"{name}: {'; '.join(changes)}")
