"""The scores of "shapes-all" beyond the words read in clips: PSNR, and the timing of clicks and impacts.

Every measure takes the clips, the real ones, the number of given frames, and for painting the known pixels.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...data.media.clip import Clip
from ...data.media.psnr import psnr
from ...data.synthetic.sonification import click_times
from ...generation.prompt_rows import composited
from ...tasks.masks import Mask
from ..metrics.shapes import describe_all
from .shapes import SEEN
from .shapes_exam import HeldOut

Measured = dict[str, tuple[float, int]]  # label -> value, of how many clips


def continued(clips: Sequence[Clip], real: HeldOut, given: int, known: Sequence[Mask]) -> Measured:
    """PSNR of the frames after the given ones, where they follow from these."""
    steady = [index for index, scene in enumerate(real.scenes) if scene.motion != "bounce"]
    pairs = [(real.clips[index].frames[given:], clips[index].frames[given:]) for index in steady]
    return _means({"psnr": [float(psnr(*pair).mean()) for pair in pairs]})


def painted(clips: Sequence[Clip], real: HeldOut, given: int, known: Sequence[Mask]) -> Measured:
    """PSNR of parts and of the whole, and what is seen, without and with the known pixels put back."""
    whole = put_back(clips, real, known)
    values: dict[str, list[float]] = defaultdict(list)
    for truth, made, together, mask in zip(real.clips, clips, whole, known, strict=True):
        values["psnr_painted"].append(float(psnr(truth.frames, made.frames, ~mask).mean()))
        values["psnr_known"].append(float(psnr(truth.frames, made.frames, mask).mean()))
        values["psnr"].append(float(psnr(truth.frames, made.frames).mean()))
        values["psnr_composited"].append(float(psnr(truth.frames, together.frames).mean()))
    for ending, seen in (("", clips), ("_composited", whole)):
        for reading, scene in zip(describe_all(seen), real.scenes, strict=True):
            for label in SEEN:
                values[label + ending].append(getattr(reading, label) == getattr(scene, label))
    return _means(values)


def clicks(clips: Sequence[Clip], real: HeldOut, given: int, known: Sequence[Mask]) -> Measured:
    """Clicks of the sound against the real pictures."""
    heard = describe_all([replace(clip, frames=clip.frames[:1]) for clip in clips])
    return _timing([reading.clicks for reading in heard], real)


def impacts(clips: Sequence[Clip], real: HeldOut, given: int, known: Sequence[Mask]) -> Measured:
    """Impacts in the pictures against the real sound."""
    seen = describe_all([clip.silent() for clip in clips])
    return _timing([reading.impacts for reading in seen], real)


MEASURES: dict[str, Callable[[Sequence[Clip], HeldOut, int, Sequence[Mask]], Measured]] = {
    "frame_prediction": continued,
    "audio_video_continuation": continued,
    "inpainting": painted,
    "outpainting": painted,
    "video_to_audio": clicks,
    "audio_to_video": impacts,
}


def put_back(made: Sequence[Clip], real: HeldOut, known: Sequence[Mask]) -> list[Clip]:
    """The clips with the known pixels of the real ones, if there are any."""
    if not known:
        return list(made)
    return [composited(*each) for each in zip(made, real.clips, known, strict=True)]


def _timing(moments: Sequence[tuple[float, ...]], real: HeldOut) -> Measured:
    values: dict[str, list[float]] = defaultdict(list)
    for found, scene, clip in zip(moments, real.scenes, real.clips, strict=True):
        if scene.motion == "bounce":
            impacts = click_times(scene, clip.num_frames, clip.fps)
            late = [abs(moment - impact) for moment, impact in zip(found, impacts, strict=False)]
            values["click"].append(len(found) == len(impacts) and max(late) <= 1 / clip.fps)
        else:
            values["no_click"].append(not found)
    return _means(values)


def _means(values: dict[str, list[float]]) -> Measured:
    return {label: (sum(each) / len(each), len(each)) for label, each in values.items() if each}
