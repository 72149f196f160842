"""The sound of a scene: a note whose pitch is the object's colour and whose loudness follows its motion."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..media.timing import audio_samples
from .scene import PITCHES, Scene

HARMONICS = (1.0, 0.3, 0.1)
LOUDNESS = 0.12
# A click is a bright ping that starts at once: above every note, and so much louder that a codec that has
# learnt the notes within seconds of training says it, too.
CLICK_HERTZ = 3200.0
CLICK_LOUDNESS = 0.9
CLICK_SECONDS = 0.08
FADE_SECONDS = 0.005
TREMOLO_HERTZ = 6.0

Samples = Float[np.ndarray, " samples"]


def render_sound(scene: Scene, num_frames: int, fps: float, sample_rate: int) -> Float[Tensor, "1 samples"]:
    """Mono sound that lasts as long as the frames; a click marks every impact of a bounce."""
    seconds = np.arange(audio_samples(num_frames, fps, sample_rate), dtype=np.float32) / sample_rate
    sound = _note(PITCHES[scene.pitch], seconds, sample_rate) * _loudness(scene.motion, seconds)
    sound *= np.clip(np.minimum(seconds, seconds[-1] - seconds) / FADE_SECONDS, 0, 1)
    for start in click_times(scene, num_frames, fps):
        _add_click(sound, start, sample_rate)
    return torch.from_numpy(sound)[None]


def click_times(scene: Scene, num_frames: int, fps: float) -> tuple[float, ...]:
    """Seconds from the start to every impact of a bounce."""
    return tuple(impact * (num_frames - 1) / fps for impact in scene.impacts)


def _note(hertz: float, seconds: Samples, sample_rate: int) -> Samples:
    """A tone with two soft harmonics, those below the Nyquist frequency."""
    sound = np.zeros_like(seconds)
    for number, loudness in enumerate(HARMONICS, start=1):
        if number * hertz < sample_rate / 2:
            sound += LOUDNESS * loudness * np.sin(2 * np.pi * number * hertz * seconds)
    return sound


def _loudness(motion: str, seconds: Samples) -> Samples:
    """Growing gets louder, shrinking softer, spinning trembles; right swells and left fades a little."""
    phase = seconds / seconds[-1]
    match motion:
        case "grow":
            return 0.15 + 0.85 * phase
        case "shrink":
            return 1 - 0.85 * phase
        case "right":
            return 0.6 + 0.4 * phase
        case "left":
            return 1 - 0.4 * phase
        case "spin":
            return 0.7 + 0.3 * np.sin(2 * np.pi * TREMOLO_HERTZ * seconds)
    return np.full_like(seconds, 0.8)


def _add_click(sound: Samples, start: float, sample_rate: int) -> None:
    first = round(start * sample_rate)
    click = _click(sample_rate)[: max(len(sound) - first, 0)]
    sound[first : first + len(click)] += click
    np.clip(sound, -1, 1, out=sound)


@lru_cache(maxsize=8)
def _click(sample_rate: int) -> Samples:
    """A ping that dies away within CLICK_SECONDS; lower where the sample rate does not allow its pitch."""
    seconds = np.arange(max(round(CLICK_SECONDS * sample_rate), 1)) / sample_rate
    ping = np.sin(2 * np.pi * min(CLICK_HERTZ, 0.4 * sample_rate) * seconds)
    return (CLICK_LOUDNESS * ping * np.exp(-4 * seconds / CLICK_SECONDS)).astype(np.float32)
