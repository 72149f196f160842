"""Recognise what a clip shows and sounds like, from its pixels and samples alone.

`describe` scores clips without any trained network: it names colour, shape, motion, camera and pitch
in the embedded corpus' words, or says nothing (None) where its confidence is below CONFIDENT. It is meant
for generated clips, which are slightly soft and off in colour, and abstains on noise, on blank or strongly
blurred clips and on mixtures of several scenes.
"""

from dataclasses import dataclass, field

import numpy as np

from ..media.clip import Clip
from .pose_fitting import holds_object
from .reading_camera import Camera, read_camera
from .reading_colour import read_colour, working_pictures
from .reading_motion import FEWEST_FRAMES, read_motion
from .reading_shape import read_shape
from .reading_sound import read_clicks, read_pitch

CONFIDENT = 0.5
FEWEST_PIXELS = 8
MOST_FRAMES = 17
SMALLEST = 0.01  # area of an object in units of the shorter side


@dataclass(frozen=True)
class Description:
    """What was read; None where the confidence is below CONFIDENT.

    Args:
        impacts: seconds from the start of the clip to each touch of the floor by a bouncing object.
        clicks: seconds from the start of the clip.
        confidence: 0 to 1, of every field that there was something to read for.
    """

    colour: str | None = None
    shape: str | None = None
    motion: str | None = None
    camera: str | None = None
    pitch: str | None = None
    impacts: tuple[float, ...] = ()
    clicks: tuple[float, ...] = ()
    confidence: dict[str, float] = field(default_factory=dict)


def describe(clip: Clip) -> Description:
    """Read a clip of any size and length; motion and camera need FEWEST_FRAMES frames."""
    read, impacts = _read_pictures(clip)
    clicks = ()
    if clip.waveform is not None and clip.sample_rate is not None:
        samples = clip.waveform.mean(0).numpy().astype(np.float64)
        pitch = read_pitch(samples, clip.sample_rate)
        clicks = read_clicks(samples, clip.sample_rate)
        if pitch is not None:
            read["pitch"] = pitch
    confidence = {name: sure for name, (_, sure) in read.items()}
    if impacts:
        confidence["impacts"] = confidence["motion"]
    words = {name: word for name, (word, sure) in read.items() if sure >= CONFIDENT}
    return Description(
        **words, impacts=impacts if "motion" in words else (), clicks=clicks, confidence=confidence
    )


def _read_pictures(clip: Clip) -> tuple[dict[str, tuple[str, float]], tuple[float, ...]]:
    """(word, confidence) of all that the frames let one look for; seconds of the impacts of a bounce."""
    chosen = np.unique(np.linspace(0, clip.num_frames - 1, MOST_FRAMES).round().astype(int))
    if min(clip.height, clip.width) < FEWEST_PIXELS:
        return {}, ()
    pictures = working_pictures(clip.frames[chosen])
    found = read_colour(pictures)
    if found is None:
        return {}, ()
    present = holds_object(found.mask, SMALLEST)
    if present.mean() < 0.8:
        return {}, ()
    fit = read_shape(found.mask[present])
    visible = min(found.confidence, fit.whole)
    read = {"colour": (found.colour, visible), "shape": (fit.shape, min(visible, fit.confidence))}
    if present.sum() < FEWEST_FRAMES:
        return read, ()
    camera = read_camera(pictures, found.background)
    known = camera if camera.confidence >= CONFIDENT else Camera("still", 0.0, 0.0, 0.0)
    time = (chosen[present] - chosen[0]) / (chosen[-1] - chosen[0])
    track = read_motion(fit.shape, fit.poses, known, time)
    read |= {
        "shape": (fit.shape, min(visible, fit.confidence, track.coherent)),
        "motion": (track.motion, min(visible, track.confidence)),
        "camera": (camera.name, min(visible, camera.confidence)),
    }
    return read, tuple(impact * (clip.num_frames - 1) / clip.fps for impact in track.impacts)
