"""Drift of a long video: whether its colour and shape can still be read after many segments.

Every segment encodes what the last one decoded. Repeated encoding and decoding without the language model
shows how much of the drift is the tokenizer's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...data.media.clip import Clip
from ...data.synthetic.describing import describe
from ...data.synthetic.scene import Scene
from ..pipeline import VideoLM
from .script import Segment


@dataclass(frozen=True)
class ReadCorrectly:
    """Shares of clips in which the right word is read."""

    colour: float
    shape: float


def windows(clip: Clip, num_frames: int) -> list[Clip]:
    """The whole windows of a clip, one after the other."""
    starts = range(0, clip.num_frames - num_frames + 1, num_frames)
    return [clip.window(start, num_frames) for start in starts]


def rounds(model: VideoLM, clip: Clip, number: int) -> list[Clip]:
    """A clip of the model's size after 0, 1, … `number` rounds of encoding and decoding its frames."""
    again = [clip]
    for _ in range(number):
        again.append(model.decode({"visual": model.encode(again[-1])["visual"]}))
    return again


def rounds_at(segments: Sequence[Segment], frame: int) -> int:
    """How often the content of a frame has been decoded: the number of the segment that made it, from 1."""
    return sum(segment.first <= frame for segment in segments)


def read_correctly(clips: Sequence[Clip], scenes: Sequence[Scene]) -> ReadCorrectly:
    """In how many clips `describe` reads the right colour and shape; an abstention is wrong."""
    readings = [describe(clip) for clip in clips]
    pairs = list(zip(readings, scenes, strict=True))
    return ReadCorrectly(
        colour=sum(reading.colour == scene.colour for reading, scene in pairs) / len(pairs),
        shape=sum(reading.shape == scene.shape for reading, scene in pairs) / len(pairs),
    )
