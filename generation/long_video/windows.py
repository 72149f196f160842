"""One window of a long video: a clip of the model's length that begins with the last frames made so far."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from ...data.codes.clip_format import ClipFormat
from ...data.media.clip import Clip
from ...data.media.timing import video_frames, video_latents
from ...lm.decoding.sampling import DrawSettings, Sampling
from ...tasks.clip_size import SizeChoice
from ..best_of import Fit, best
from ..clip_cache import digest_of
from ..pipeline import VideoLM
from ..prompt import Given, Prompt
from .script import Segment

TASKS = (
    "text_to_video",
    "image_to_video",
    "unconditional",
    "frame_prediction",
    "audio_video_continuation",
    "video_to_audio",
)
# Whether each window goes on with the sound of the last (audio_video_continuation), gets one of its own
# (video_to_audio), or all are silent.
SoundOf = Literal["continued", "of each window", "none"]
Tell = Callable[[float], None]


def sound_of(model: VideoLM, video: Clip | None, silent: bool) -> SoundOf:
    """How the model can give a long video sound.

    Args:
        video: that it begins with, if there is one.
        silent: no sound is wanted.
    """
    can = set(model.config.tasks)
    begins = "video_to_audio" in can if video is None else video.waveform is not None
    if silent:
        return "none"
    if "audio_video_continuation" in can and begins:
        return "continued"
    return "of each window" if "video_to_audio" in can else "none"


def given_frames_of(model: VideoLM, clips: ClipFormat, given: int | None) -> int:
    """Frames that every window of a size is given; of about half of its latents if nothing is said.

    Raises:
        ValueError: if they are no 1 + 4k frames, or leave none to generate.
    """
    if given is None:
        return video_frames(model.config.lengths_of(clips).given_latents, clips.temporal_stride)
    if given < 1 or video_latents(given, clips.temporal_stride) >= clips.grid[0]:
        most = video_frames(clips.grid[0] - 1, clips.temporal_stride)
        raise ValueError(f"{given} given frames; expected 1 to {most} of the {clips.num_frames} of a clip")
    return given


class WindowMaker:
    """Makes the windows of one long video.

    Args:
        clips: their size, one of the model's.
        image: that it begins with, if there is one.
        negative: as in `Prompt`.
        sampling: its guidance acts on windows with a text, and not on sound.
        sound: how windows get their sound.
        best_of: tries of each window, of which the one is kept that fits its text best.
        fit: judges them; needed if there are several.

    Raises:
        ValueError: if the model was not trained to go on with a video.
    """

    def __init__(
        self,
        model: VideoLM,
        clips: ClipFormat,
        image: Given | None,
        negative: str | None,
        sampling: Sampling,
        sound: SoundOf,
        best_of: int = 1,
        fit: Fit | None = None,
    ):
        if best_of < 1 or (best_of > 1 and fit is None):
            raise ValueError(f"best_of is {best_of}; expected 1 or more, and who judges several")
        self.best_of, self.fit = best_of, fit
        self.model, self.image, self.negative = model, image, negative
        self.size = SizeChoice(f"{clips.height}x{clips.width}", clips.num_frames)
        self.sampling, self.sound = sampling, sound
        self.continuing = "audio_video_continuation" if sound == "continued" else "frame_prediction"

    def task(self, segment: Segment) -> str:
        """The task that makes the pictures of a segment."""
        if segment.given:
            return self.continuing
        if self.image is not None:
            return "image_to_video"
        return "unconditional" if segment.text is None else "text_to_video"

    def check(self, segments: Sequence[Segment]) -> None:
        """Refuse segments that the model cannot make, before any work is done.

        Raises:
            ValueError: if it lacks a task or cannot read a text, or guidance or a choice among several tries
                has no text to go by.
        """
        texts = {segment.text for segment in segments if segment.text is not None}
        for task in {self.task(segment) for segment in segments}:
            self.model.config.task(task)
        for text in texts:
            self.model.rows.pieces(text)
        if self.best_of > 1 and any(segment.text is None for segment in segments):
            raise ValueError("best_of compares clips with their text; give one")
        if not texts and (self.negative is not None or self.sampling.guidance_scale not in (None, 1)):
            raise ValueError("guidance and a negative text need a text (or a script) to lead to")

    def made_of(self, segment: Segment, tail: Clip | None, seed: int) -> str:
        """Hex digits of all that a window follows from, beside who judges its tries."""
        image = self.image if tail is None else None
        given = {"tail": tail, "image": Path(image) if isinstance(image, str) else image}
        how = {task: asdict(settings) for task, settings in self.settings(segment).items()}
        chosen = {"negative": self.negative, "sampling": how, "sound": self.sound}
        sizes = {"segment": asdict(segment), "size": asdict(self.size), "best_of": self.best_of}
        return digest_of(given | chosen | sizes | {"model": self.model.fingerprint, "seed": seed})

    def settings(self, segment: Segment) -> dict[str, DrawSettings]:
        """How codes are drawn, by the tasks that make a segment."""
        led = segment.text is not None
        drawn = {self.task(segment): led}
        if self._has_own_sound(segment):
            drawn["video_to_audio"] = False
        return {task: self.model.settings(task, self._asked(led), text=led) for task, led in drawn.items()}

    def window(self, segment: Segment, tail: Clip | None, seed: int, tell: Tell) -> Clip:
        """A whole clip: the given frames (`tail`, with their sound) and the new ones.

        Args:
            seed: of the first try; the next has the next.
        """
        image = self.image if tail is None else None
        prompt = Prompt(text=segment.text, image=image, video=tail)
        if segment.text is not None:
            prompt = replace(prompt, negative=self.negative)
        tries = self._made(self.task(segment), [prompt] * self.best_of, seed, tell)
        window = tries[0] if self.fit is None or len(tries) == 1 else best(tries, segment.text, self.fit)
        if not self._has_own_sound(segment):
            return window
        prompts = [Prompt(video=window.silent())]
        (clip,) = self._made("video_to_audio", prompts, seed, lambda done: None)
        return clip

    def _made(self, task: str, prompts: Sequence[Prompt], seed: int, tell: Tell) -> list[Clip]:
        """A clip of each prompt; all of them have a text, or none has."""
        led = prompts[0].text is not None
        return self.model.generate_batch(
            task,
            [replace(prompt, size=self.size) for prompt in prompts],
            seed=seed,
            sampling=self._asked(led),
            progress=lambda done: tell(done / len(prompts)),
        )

    def _asked(self, led: bool) -> Sampling:
        """What is asked for, of prompts with a text or without."""
        return self.sampling if led else self.sampling.unguided()

    def _has_own_sound(self, segment: Segment) -> bool:
        """Whether a sound is made for the pictures of a segment."""
        return self.sound == "of each window" or (self.sound == "continued" and not segment.given)
