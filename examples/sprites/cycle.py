"""One cycle of an action out of a clip that repeats it: where it closes, and with which frame it begins.

    clip of slashing (6 frames a cycle):  c d e f a b c d e f a b c d e f a
    window that closes best:                  e f a b c d
    as a row of a sheet:                      a b c d e f
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from .ground import Frames

Cells = UInt8[np.ndarray, "period 64 64 4"]

# They begin with the figure standing, and nothing else that they show is alike in all of them.
FROM_STANDING = ("cast", "thrust", "slash")
# The fifth frame of walking is the widest stride, which shows from the sides.
_SIDES, _WIDEST_STRIDE = ("left", "right"), 4


@dataclass(frozen=True)
class Cycle:
    """A window of a clip as long as its action's cycle.

    Args:
        start: frame of the clip with which it begins.
        period: frames.
        seam: mean absolute difference of its last frame and its first one, 0..255.
        within: the greatest one of two frames of it that follow one another.
    """

    start: int
    period: int
    seam: float
    within: float

    @property
    def closes(self) -> bool:
        return self.seam <= self.within

    def frames(self, first: int = 0) -> list[int]:
        """Frames of the clip as the cycle shows them, beginning with its own frame `first`."""
        return [self.start + (first + index) % self.period for index in range(self.period)]


def best_cycle(frames: Frames, period: int) -> Cycle:
    """The window whose last frame is most alike to its first one: the earliest of several.

    Any window of a clip that repeats itself exactly holds the same frames, so what is chosen is the place of
    the seam: where it shows least.

    Raises:
        ValueError: if the clip is shorter than a cycle.
    """
    if len(frames) < period:
        raise ValueError(f"a clip has {len(frames)} frames; expected at least the {period} of a cycle")
    steps = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    starts = np.arange(len(frames) - period + 1)
    seams = np.abs(frames[starts + period - 1] - frames[starts]).mean((1, 2, 3))
    start = int(seams.argmin())
    within = float(steps[start : start + period - 1].max(initial=0))
    return Cycle(start, period, float(seams[start]), within)


def first_frames(cycles: dict[str, Cells], direction: str) -> dict[str, int]:
    """The frames with which the sheets' rows of the actions begin, seen from one direction.

    Casting, thrusting and slashing begin with the figure standing, so these are the frames in which the three
    are most alike. Shooting begins with the frame most alike to them. Of walking it is only known from the
    sides, by the frame least alike to them; from front and back one step looks nearly as the other.

    Args:
        cycles: cells of every action.

    Returns:
        frames of the cycles, of all actions or all but walking.
    """
    solid = {action: _solid(cells) for action, cells in cycles.items()}
    one, two, three = (solid[action] for action in FROM_STANDING)
    together = (
        _differences(one, two)[:, :, None]
        + _differences(one, three)[:, None, :]
        + _differences(two, three)[None, :, :]
    )
    found = np.unravel_index(int(together.argmin()), together.shape)
    firsts = {action: int(first) for action, first in zip(FROM_STANDING, found, strict=True)}
    standing = np.mean([solid[action][first] for action, first in firsts.items()], axis=0)
    firsts["shoot"] = int(_differences(solid["shoot"], standing[None]).argmin())
    if direction in _SIDES:
        stride = int(_differences(solid["walk"], standing[None]).argmax())
        firsts["walk"] = (stride - _WIDEST_STRIDE) % len(cycles["walk"])
    return firsts


def _solid(cells: Cells) -> Float32[np.ndarray, "period values"]:
    """Cells with their alpha as a fourth colour, to be compared."""
    return cells.reshape(len(cells), -1).astype(np.float32)


def _differences(
    one: Float32[np.ndarray, "some values"], other: Float32[np.ndarray, "others values"]
) -> Float32[np.ndarray, "some others"]:
    return np.stack([np.abs(each - other).mean(1) for each in one])
