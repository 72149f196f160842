"""Prompts: what a task is given, checked against the task and brought to the model's sizes and rates."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch

from ..data.analysis.geometry import Geometry
from ..data.codes.clip_format import ClipFormat
from ..data.media.clip import Clip
from ..data.media.framing import inscribed_size
from ..data.media.timing import video_frames, whole_frames
from ..tasks.clip_size import SizeChoice
from ..tasks.masks import Mask, mask_of_frames, read_mask
from ..tasks.task import Task
from .prompt_arrays import Pictures, clip_of
from .prompt_medium import Given, GivenSound, Medium, say, sound_of

# A video that leaves less of the frame than this free is cut to fill it; nothing is painted around it.
_LEAST_TO_PAINT = 0.05

GivenMask = Mask | Clip | str | Path | Pictures


@dataclass(frozen=True, eq=False)
class Prompt:
    """Whatever a task takes.

    Pictures are a path, a `Clip`, a PIL image, a numpy array (channels last) or a torch tensor (channels
    first), of bytes or floats 0..1 as diffusers has them; a list of these is a video (prompt_arrays.py). An
    array has the model's frame rate.

    Args:
        text: what is to be seen.
        expanded: the same in the words that a model learnt from, which it reads in place of the text.
        negative: what is not; replaces the empty text that guidance leads away from.
        image: the first frame.
        video: frames to go on from, or to make sound for.
        audio: sound to make a video for: a file, any clip with sound, or (samples, sample_rate).
        mask: the part of the video to paint anew; pictures that are white there and black elsewhere, the name
            of a usual one (`masks.KINDS`), or the known pixels themselves (booleans).
        geometry: how flow and depth of the video are known, for tasks that are led by them.
        size: of the clip, of those that the model was trained on; its default if not given. A task that
            widens frames shows a video whole in one of another aspect ratio.
    """

    text: str | None = None
    expanded: str | None = None
    negative: str | None = None
    image: Given | None = None
    video: Given | None = None
    audio: GivenSound | None = None
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
    audio: GivenSound | None
    mask: GivenMask | None
    geometry: Geometry | None
    size: SizeChoice | None


def fitted_image(given: Given, clips: ClipFormat) -> Clip:
    """The first frame of an image or clip, at the model's size."""
    medium = Medium.of(given, clips.fps)
    size = (clips.height, clips.width)
    changes = [] if medium.num_frames == 1 else [f"the first of {medium.info.num_frames} frames is used"]
    say("image", changes + replace(medium, fps=medium.info.fps or clips.fps).changes(size))
    return medium.read(0, 1, size)


def fitted(given: Given, clips: ClipFormat) -> Clip:
    """A clip of any length at the model's size and rate, with its sound."""
    medium, size = Medium.of(given, clips.fps), (clips.height, clips.width)
    say("video", medium.changes(size))
    return medium.read(0, None, size, sound=True)


def fitted_video(given: Given, clips: ClipFormat, num_frames: int, *, sound: bool = True) -> Clip:
    """A clip at the model's size and rate with exactly `num_frames` frames.

    A longer one is cut at its end, a shorter one holds its last frame; a warning says so.

    Args:
        sound: whether the sound of a file is read.
    """
    medium, size = Medium.of(given, clips.fps), (clips.height, clips.width)
    clip = medium.read(0, num_frames, size, sound=sound)
    say("video", _cut(medium, clip, num_frames) + medium.changes(size))
    return _lasting(clip, num_frames)


def whole_video(given: Given, clips: ClipFormat) -> tuple[Clip, Mask | None]:
    """A clip at the model's rate and length, shown whole in the middle of the model's frame.

    It is as large as the frame lets it be. Also the pixels that it covers, or None if these are all, or so
    nearly that it is resized and cut.
    """
    medium = Medium.of(given, clips.fps)
    height, width = inscribed_size(medium.info.height, medium.info.width, clips.height, clips.width)
    if 1 - height * width / (clips.height * clips.width) < _LEAST_TO_PAINT:
        return fitted_video(given, clips, clips.num_frames), None
    clip = medium.read(0, clips.num_frames, (height, width), sound=True)
    say("video", _cut(medium, clip, clips.num_frames) + medium.changes(None))
    clip = _lasting(clip, clips.num_frames)
    top, left = (clips.height - height) // 2, (clips.width - width) // 2
    window = (slice(None), slice(top, top + height), slice(left, left + width))
    frames = torch.zeros((clips.num_frames, clips.height, clips.width, 3), dtype=torch.uint8)
    inside = torch.zeros(frames.shape[:3], dtype=torch.bool)
    frames[window], inside[window] = clip.frames, True
    return replace(clip, frames=frames), inside


def _lasting(clip: Clip, num_frames: int) -> Clip:
    """A clip of at most so many frames with its last frame held."""
    if clip.num_frames == num_frames:
        return clip
    last = clip.frames[-1:].expand(num_frames - clip.num_frames, -1, -1, -1)
    return replace(clip, frames=torch.cat([clip.frames, last]))


def _cut(medium: Medium, clip: Clip, num_frames: int) -> list[str]:
    """How the length of a medium becomes so many frames, in words."""
    if clip.num_frames < num_frames:
        frames = "frame" if clip.num_frames == 1 else "frames"
        return [f"it has {clip.num_frames} {frames} at {clip.fps:g} fps; its last is held up to {num_frames}"]
    if medium.num_frames > num_frames:
        return [_share("first", clip.num_frames, medium)]
    return []


def _share(which: str, used: int, medium: Medium) -> str:
    seconds, all_seconds = used / medium.fps, medium.num_frames / medium.fps
    return (
        f"the {which} {seconds:.1f} s of {all_seconds:.1f} s are used "
        f"({used} of {medium.num_frames} frames at {medium.fps:g} fps)"
    )


def given_frames(given: Given, clips: ClipFormat, *, sound: bool = True) -> Clip:
    """The frames that a video is to go on from: 1 + a multiple of the stride, fewer than a whole clip.

    Of a longer clip the last ones are used, since what follows them is wanted; a warning says so.

    Args:
        sound: whether the sound of a file is read.
    """
    medium, size = Medium.of(given, clips.fps), (clips.height, clips.width)
    most = video_frames(clips.grid[0] - 1, clips.temporal_stride)
    clip = medium.last(whole_frames(min(medium.num_frames, most), clips.temporal_stride), size, sound=sound)
    usable = whole_frames(clip.num_frames, clips.temporal_stride)  # a file may hold less than its header says
    changes = [_share("last", usable, medium)] if usable < medium.num_frames else []
    say("video", changes + medium.changes(size))
    return clip.window(clip.num_frames - usable, usable)


def fitted_mask(given: GivenMask, video: Clip) -> Mask:
    """The known pixels of a video.

    Raises:
        FileNotFoundError, ValueError: if there is no such mask, or it does not fit the video.
    """
    if isinstance(given, (str, Path)):
        return read_mask(given, video.num_frames, video.height, video.width)
    if isinstance(given, np.ndarray) and given.dtype == bool:
        given = torch.from_numpy(given.copy())
    if isinstance(given, torch.Tensor) and given.dtype == torch.bool:
        if given.shape != video.frames.shape[:3]:
            found, wanted = ("x".join(map(str, shape)) for shape in (given.shape, video.frames.shape[:3]))
            raise ValueError(f"the known pixels are {found}; expected {wanted} (frames, height, width)")
        return given.cpu()
    clip = given if isinstance(given, Clip) else clip_of(given, video.fps)
    return mask_of_frames(clip.resized(video.height, video.width).frames, video.num_frames)


def fitted_sound(given: GivenSound, clips: ClipFormat) -> Clip:
    """A sound as the model's codec takes it, mono and as long as a clip.

    A longer one is cut at its end, silence follows a shorter one; a warning says so.

    Raises:
        FileNotFoundError, ValueError: if there is no sound.
    """
    return sound_of(given, clips.num_frames, clips.fps, clips.sample_rate)


_ARTICLES = {
    "text": "a text",
    "image": "an image",
    "video": "a video",
    "audio": "a sound (audio)",
    "mask": "a mask",
    "actions": "actions (videolm.WorldEnv and videolm play give them, one after the other)",
}


def _in_words(name: str, task: Task) -> str:
    article = _ARTICLES[name]
    return article if name in task.needs else f"{article} (optional)"
