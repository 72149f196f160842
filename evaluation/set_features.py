"""Features of numbered clips for every measure, computed in chunks so that a stopped run goes on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.media.clip import Clip
from .metrics.measures import Measure
from .resumable import Item, Part

_FORMAT = "format"  # frames per second, frames, height and width of a clip

# A clip by its number, or why it cannot be used.
ReadClip = Callable[[int], Clip | str]


def feature_part(
    folder: Path,
    count: int,
    read: ReadClip,
    measures: Sequence[Measure],
    size: int = 16,
    made_of: Callable[[Sequence[int]], str] | None = None,
) -> Part:
    """The features of clips 0 to count - 1 that the measures compare.

    A clip without what a measure needs (a caption, sound) has no features of that measure. `made_of` is as in
    `Part`.
    """

    def compute(numbers: Sequence[int]) -> list[Item]:
        clips = [read(number) for number in numbers]
        found: list[dict[str, Tensor]] = [{} for _ in clips]
        usable = [(clip, item) for clip, item in zip(clips, found, strict=True) if isinstance(clip, Clip)]
        for measure in measures:
            chosen = [(clip, item) for clip, item in usable if measure.applies_to(clip)]
            if measure.extractor is not None and chosen:
                features = measure.extractor([clip for clip, _ in chosen])
                for (_, item), rows in zip(chosen, features, strict=True):
                    item[measure.name] = rows
        for clip, item in usable:
            item[_FORMAT] = torch.tensor([clip.fps, clip.num_frames, clip.height, clip.width])
        return [clip if isinstance(clip, str) else item for clip, item in zip(clips, found, strict=True)]

    return Part(folder, count, compute, size, made_of)


def features_of(part: Part, name: str) -> dict[int, Tensor]:
    """The features of one measure by the number of their clip."""
    items = enumerate(part.read())
    return {number: item[name] for number, item in items if isinstance(item, dict) and name in item}


def describe_part(part: Part) -> dict[str, Any]:
    """How many clips there are, which were left out and why, their frame rates and sizes."""
    formats = {
        tuple(item[_FORMAT].tolist()) for item in part.read() if isinstance(item, dict) and _FORMAT in item
    }
    skipped = skipped_in(part)
    found: dict[str, Any] = {"clips": part.count - len(skipped), "skipped": skipped}
    if formats:
        found["fps"] = sorted({round(each[0], 3) for each in formats})
        found["sizes"] = sorted({f"{each[2]:.0f}x{each[3]:.0f}" for each in formats})
    return found


def skipped_in(part: Part) -> list[str]:
    """Why clips were left out."""
    return [item for item in part.read() if isinstance(item, str)]
