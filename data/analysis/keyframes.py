"""A few frames spread over a clip, for a captioner."""

import numpy as np
from jaxtyping import UInt8

from ..media.probe import probe
from ..media.reading import read_clip
from ..media.streams import MediaError
from ..sources.entry import Entry

_LONGER_SIDE = 512


def spread_frames(entry: Entry, num_frames: int) -> UInt8[np.ndarray, "frames height width 3"]:
    """Frames from the middles of equal parts of a clip, in its aspect ratio, at most 512 pixels long.

    A clip of fewer frames gives all of them. The parts between are not decoded, however long they are.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: if it has no pictures or cannot be decoded.
    """
    info, _ = probe(entry.media, whole=False)
    if info.kind == "sound":
        raise MediaError(f"{entry.path}: it is sound only")
    scale = min(1.0, _LONGER_SIDE / max(info.height, info.width))
    height, width = (max(1, round(side * scale)) for side in (info.height, info.width))
    begin = entry.start or 0.0
    seconds = max(0.0, min(info.seconds, entry.end or info.seconds) - begin)
    count = min(num_frames, max(1, round(seconds * info.fps)))
    frames: list[np.ndarray] = []
    for number in range(count):
        middle = begin + (number + 0.5) * seconds / count
        try:
            clip = read_clip(entry.media, start=middle, num_frames=1, height=height, width=width)
        except MediaError:
            if frames:  # the sound, by which the header counts, is longer than the pictures
                break
            raise
        frames.append(clip.frames[0].numpy())
    return np.stack(frames)
