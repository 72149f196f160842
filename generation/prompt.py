"""Prompts: what a task is given, checked against the task and brought to the model's sizes and rates."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import torch

from ..data.analysis.geometry import Geometry
from ..data.codes.clip_format import ClipFormat
from ..data.media.clip import Clip
from ..data.media.framing import inscribed_size
from ..data.media.timing import audio_samples, video_frames, whole_frames
from ..tasks.clip_size import SizeChoice
from ..tasks.masks import Mask, mask_of_frames, read_mask
from ..tasks.task import Task

# A video that leaves less of the frame than this free is cut to fill it; nothing is painted around it.
_LEAST_TO_PAINT = 0.05

Given = Clip | str | Path
GivenMask = Mask | Clip | str | Path


@dataclass(frozen=True, eq=False)
class Prompt:
    """Whatever a task takes; files are given by their path.

    Args:
        text: what is to be seen.
        expanded: the same in the words that a model learnt from, which it reads in place of the text.
        negative: what is not; replaces the empty text that guidance leads away from.
        image: the first frame.
        video: frames to go on from, or to make sound for.
        audio: sound to make a video for; a wav file or any clip with sound.
        mask: the part of the video to paint anew; a file or clip that is white there and black elsewhere,
            the name of a usual one (`masks.KINDS`), or the known pixels themselves.
        geometry: how flow and depth of the video are known, for tasks that are led by them.
        size: of the clip, of those that the model was trained on; its default if not given. A task that
            widens frames shows a video whole in one of another aspect ratio.
    """

    text: str | None = None
    expanded: str | None = None
    negative: str | None = None
    image: Given | None = None
    video: Given | None = None
    audio: Given | None = None
    mask: GivenMask | None = None
    geometry: Geometry | None = None
    size: SizeChoice | None = None

    @property
    def given(self) -> tuple[str, ...]:
        names = ("text", "image", "video", "audio", "mask")
        return tuple(name for name in names if getattr(self, name) is not None)

    def check(self, task: Task, guidance_scale: float | None) -> None:
        """Refuse what a task cannot use.

        Args:
            guidance_scale: None as long as it is the model's to choose: then nothing is said about guidance.

        Raises:
            ValueError: if an input is missing or not taken, or guidance has no text to lead to.
        """
        missing = [name for name in task.needs if name not in self.given]
        refused = [name for name in self.given if name not in task.takes]
        takes = " and ".join(_in_words(name, task) for name in task.takes) or "nothing"
        if missing:
            raise ValueError(f"task {task.name} takes {takes}; {missing[0]} is missing")
        if refused:
            raise ValueError(f"task {task.name} takes {takes}; it has no use for {refused[0]}")
        if self.text is not None and not self.text.strip():
            raise ValueError(f"the text for task {task.name} is empty; leave it out or say something")
        if guidance_scale not in (None, 1) and self.text is None:
            raise ValueError(
                f"guidance_scale is {guidance_scale:g}, but guidance leads towards a text and "
                f"{'none is given' if 'text' in task.takes else f'task {task.name} takes none'}"
            )
        if self.negative is not None and guidance_scale == 1:
            raise ValueError("a negative text acts through guidance; give a guidance_scale above 1 with it")


class PromptParts(TypedDict, total=False):
    """The fields of a `Prompt` as keyword arguments."""

    text: str | None
    expanded: str | None
    negative: str | None
    image: Given | None
    video: Given | None
    audio: Given | None
    mask: GivenMask | None
    geometry: Geometry | None
    size: SizeChoice | None


def fitted_image(given: Given, clips: ClipFormat) -> Clip:
    """The first frame of an image or clip, at the model's size."""
    return _sized(_read(given).window(0, 1), clips)


def fitted(given: Given, clips: ClipFormat) -> Clip:
    """A clip of any length at the model's size and rate."""
    return _sized(_at_rate(_read(given), clips), clips)


def fitted_video(given: Given, clips: ClipFormat, num_frames: int) -> Clip:
    """A clip at the model's size and rate with exactly `num_frames` frames.

    A longer one is cut at its end, a shorter one holds its last frame; a warning says so.
    """
    return _lasting(fitted(given, clips), num_frames)


def whole_video(given: Given, clips: ClipFormat) -> tuple[Clip, Mask | None]:
    """A clip at the model's rate and length, shown whole in the middle of the model's frame.

    It is as large as the frame lets it be. Also the pixels that it covers, or None if these are all, or so
    nearly that it is resized and cut.
    """
    clip = _at_rate(_read(given), clips)
    height, width = inscribed_size(clip.height, clip.width, clips.height, clips.width)
    if 1 - height * width / (clips.height * clips.width) < _LEAST_TO_PAINT:
        return fitted_video(clip, clips, clips.num_frames), None
    clip = _lasting(clip, clips.num_frames).resized(height, width)
    top, left = (clips.height - height) // 2, (clips.width - width) // 2
    window = (slice(None), slice(top, top + height), slice(left, left + width))
    frames = torch.zeros((clips.num_frames, clips.height, clips.width, 3), dtype=torch.uint8)
    inside = torch.zeros(frames.shape[:3], dtype=torch.bool)
    frames[window], inside[window] = clip.frames, True
    return replace(clip, frames=frames), inside


def _lasting(clip: Clip, num_frames: int) -> Clip:
    if clip.num_frames > num_frames:
        _say(f"video has {clip.num_frames} frames at {clip.fps:g} fps; the first {num_frames} are used")
        return clip.window(0, num_frames)
    if clip.num_frames < num_frames:
        _say(f"video has {clip.num_frames} frames at {clip.fps:g} fps; its last is held up to {num_frames}")
        last = clip.frames[-1:].expand(num_frames - clip.num_frames, -1, -1, -1)
        return replace(clip, frames=torch.cat([clip.frames, last]))
    return clip


def given_frames(given: Given, clips: ClipFormat) -> Clip:
    """The frames that a video is to go on from: 1 + a multiple of the stride, fewer than a whole clip.

    Of a longer clip the last ones are used, since what follows them is wanted; a warning says so.
    """
    clip = fitted(given, clips)
    most = video_frames(clips.grid[0] - 1, clips.temporal_stride)
    usable = whole_frames(min(clip.num_frames, most), clips.temporal_stride)
    if usable < clip.num_frames:
        _say(f"video has {clip.num_frames} frames at {clips.fps:g} fps; it goes on from the last {usable}")
    return clip.window(clip.num_frames - usable, usable)


def fitted_mask(given: GivenMask, video: Clip) -> Mask:
    """The known pixels of a video.

    Raises:
        FileNotFoundError, ValueError: if there is no such mask, or it does not fit the video.
    """
    if isinstance(given, Clip):
        return mask_of_frames(given.resized(video.height, video.width).frames, video.num_frames)
    if isinstance(given, (str, Path)):
        return read_mask(given, video.num_frames, video.height, video.width)
    return given


def fitted_sound(given: Given, clips: ClipFormat) -> Clip:
    """A clip's sound as the model's codec takes it, mono and as long as a clip.

    Raises:
        ValueError: if there is no sound.
    """
    clip = _read_sound(given)
    if clip.waveform is None:
        raise ValueError(f"{given if isinstance(given, (str, Path)) else 'the clip'} has no sound")
    clip = clip.resampled(clips.sample_rate, channels=1)
    samples = audio_samples(clips.num_frames, clips.fps, clips.sample_rate)
    return replace(clip, waveform=clip.sound(samples))


def _read(given: Given) -> Clip:
    if isinstance(given, Clip):
        return given
    from ..data.media.reading import read_clip

    return read_clip(given)


def _read_sound(given: Given) -> Clip:
    """As `_read`, and a wav file is a clip of one black pixel."""
    if isinstance(given, Clip) or Path(given).suffix.lower() != ".wav":
        return _read(given)
    from ..data.media.reading import read_waveform

    waveform, sample_rate = read_waveform(given)
    return Clip(torch.zeros(1, 1, 1, 3, dtype=torch.uint8), 1.0, waveform, sample_rate)


def _sized(clip: Clip, clips: ClipFormat) -> Clip:
    if (clip.height, clip.width) != (clips.height, clips.width):
        _say(f"frames of {clip.height}x{clip.width} are resized and cut to {clips.height}x{clips.width}")
    return clip.resized(clips.height, clips.width)


def _at_rate(clip: Clip, clips: ClipFormat) -> Clip:
    if clip.num_frames == 1 or clip.fps == clips.fps:
        return replace(clip, fps=clips.fps)
    _say(f"video of {clip.fps:g} fps is shown at {clips.fps:g} fps")
    return clip.at_fps(clips.fps)


_ARTICLES = {
    "text": "a text",
    "image": "an image",
    "video": "a video",
    "audio": "a sound (audio)",
    "mask": "a mask",
}


def _in_words(name: str, task: Task) -> str:
    article = _ARTICLES[name]
    return article if name in task.needs else f"{article} (optional)"


def _say(message: str) -> None:
    warnings.warn(message, stacklevel=4)
