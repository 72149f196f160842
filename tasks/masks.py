"""Which pixels of a clip are known: the shapes of painting tasks, and a user's own file.

The centred shapes are those of MAGVIT (Yu et al. 2023, arXiv:2212.05199, appendix B.1): a box or a strip of
half the frame, at rest or moving. Drawn at random they vary in place and size, so that a model trained on
them fills what a user marks.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

Mask = Bool[Tensor, "frames height width"]  # True where a pixel is known
# (top, left, bottom, right) in shares of the frame.
Rectangle = tuple[float, float, float, float]


class Chance:
    """Sizes and places of rectangles: the paper's without a generator, drawn with one."""

    def __init__(self, generator: torch.Generator | None):
        self.generator = generator

    def number(self, low: float, high: float, otherwise: float) -> float:
        if self.generator is None:
            return otherwise
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def size(self) -> float:
        return self.number(0.35, 0.65, 0.5)

    def place(self, size: float) -> float:
        """Where a stretch of this size begins."""
        return self.number(0, 1, 0.5) * (1 - size)

    def turned(self, start: Rectangle, end: Rectangle) -> tuple[Rectangle, Rectangle]:
        """The same movement, in half of the draws the other way."""
        return (end, start) if self.number(0, 1, 0) > 0.5 else (start, end)


def _box(chance: Chance) -> tuple[Rectangle, Rectangle]:
    height, width = chance.size(), chance.size()
    top, left = chance.place(height), chance.place(width)
    still = (top, left, top + height, left + width)
    return still, still


def _moving_box(chance: Chance) -> tuple[Rectangle, Rectangle]:
    height, width = chance.size(), chance.size()
    top = chance.place(height)
    return chance.turned((top, 0.0, top + height, width), (top, 1 - width, top + height, 1.0))


def _vertical(chance: Chance) -> tuple[Rectangle, Rectangle]:
    width = chance.size()
    left = chance.place(width)
    still = (0.0, left, 1.0, left + width)
    return still, still


def _horizontal(chance: Chance) -> tuple[Rectangle, Rectangle]:
    height = chance.size()
    top = chance.place(height)
    still = (top, 0.0, top + height, 1.0)
    return still, still


def _moving_strip(chance: Chance) -> tuple[Rectangle, Rectangle]:
    width = chance.size()
    return chance.turned((0.0, 0.0, 1.0, width), (0.0, 1 - width, 1.0, 1.0))


# Kind -> the rectangle in the first and in the last frame, and whether it is what is known.
KINDS: dict[str, tuple[Callable[[Chance], tuple[Rectangle, Rectangle]], bool]] = {
    "box": (_box, False),
    "moving box": (_moving_box, False),
    "centre": (_box, True),
    "vertical": (_vertical, True),
    "horizontal": (_horizontal, True),
    "moving strip": (_moving_strip, True),
}


def draw_mask(
    kind: str, num_frames: int, height: int, width: int, generator: torch.Generator | None = None
) -> Mask:
    """A mask of one of `KINDS`; without a generator the centred one of half the frame."""
    rectangles, is_known = KINDS[kind]
    start, end = rectangles(Chance(generator))
    share = torch.linspace(0, 1, num_frames) if num_frames > 1 else torch.tensor([0.5])
    top, left, bottom, right = (
        first + (last - first) * share[:, None, None] for first, last in zip(start, end, strict=True)
    )
    row = ((torch.arange(height) + 0.5) / height)[None, :, None]
    column = ((torch.arange(width) + 0.5) / width)[None, None, :]
    inside = (row >= top) & (row < bottom) & (column >= left) & (column < right)
    return inside if is_known else ~inside


def mask_of_frames(frames: UInt8[Tensor, "given height width 3"], num_frames: int) -> Mask:
    """A mask drawn as pictures: black is known and kept, white is painted.

    One picture holds for all frames; of a shorter clip the last picture is held.

    Raises:
        ValueError: if nothing or everything is to be painted.
    """
    known = frames.float().mean(-1) < 128
    missing = num_frames - len(known)
    known = torch.cat([known[:num_frames], known[-1:].expand(max(missing, 0), -1, -1)])
    if known.all() or not known.any():
        state = "black: nothing is to be painted" if known.all() else "white: nothing is known"
        raise ValueError(f"the mask is all {state}; expected white where to paint and black elsewhere")
    return known


def read_mask(given: str | Path, num_frames: int, height: int, width: int) -> Mask:
    """A kind of mask by its name, or an image or video file (see `mask_of_frames`).

    Raises:
        FileNotFoundError, ValueError: if it is neither, or the file paints nothing or everything.
    """
    if str(given) in KINDS:
        return draw_mask(str(given), num_frames, height, width)
    if not Path(given).is_file():
        raise FileNotFoundError(f"there is no mask {given}; expected a file or one of {', '.join(KINDS)}")
    from ..data.media.reading import read_clip

    return mask_of_frames(read_clip(given).resized(height, width).frames, num_frames)
