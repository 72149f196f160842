"""The plain ground behind a figure: its colour, and the figure cut out of it.

Outlines of these characters are dark and so are the grounds: some differ by 6 of 255. A sharp clip has
nothing between its ground and its outlines, so there the ground ends where colours begin to differ. A soft or
noisy one has pixels in between, and there the ground reaches further.
"""

import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8

from .sheets import CELL
from .soft_fit import blurred

Frames = Float32[np.ndarray, "frames 64 64 3"]
Masks = Bool[np.ndarray, "frames 64 64"]

_RING = 3  # pixels at the upper, left and right edge, where no figure is
# Distances in RGB, 0..255 a channel, from the ground's colour up to which a pixel is ground.
_SHARP, _SOFT = 4.0, 12.0
# A clip with more pixels a frame that are neither ground nor figure is soft.
_BETWEEN, _MOST_BETWEEN = (1.5, 5.0), 6.0
# Above this distance of the edge's own pixels a clip is noisy; then frames are smoothed before they are cut.
_NOISY = 7.0
_SMOOTHING = 0.5  # pixels, standard deviation
_NOISE_SHARE = 0.8  # of the distance that 99 of 100 pixels of the edge keep, that of smoothed ones
_CLEARLY = 0.25  # of these distances, that of the mean colour of 3 x 3 pixels in a hole of the figure
_CROSS = [1, 3, 4, 5, 7]  # of 3 x 3 neighbours


def native_frames(frames: UInt8[np.ndarray, "frames height width 3"]) -> Frames:
    """Frames at the sheets' own size, the mean of what was one pixel.

    Raises:
        ValueError: if frames are not square and 64, 128, … pixels high, or there are none.
    """
    scale = frames.shape[1] // CELL
    if not scale or frames.shape[1:3] != (scale * CELL, scale * CELL) or not len(frames):
        size = f"{frames.shape[2]}x{frames.shape[1]}"
        raise ValueError(f"{len(frames)} frames are {size}; expected some of {CELL}x{CELL} or a multiple")
    parts = frames.reshape(len(frames), CELL, scale, CELL, scale, 3)
    return parts.mean((2, 4), dtype=np.float32)


def ground_colour(frames: Frames) -> Float32[np.ndarray, " 3"]:
    """The colour that most of the frames' edge has."""
    return np.median(frames[:, _edge()].reshape(-1, 3), axis=0)


def figure_of(frames: Frames) -> Masks:
    """The pixels that show the figure: all but the ground that reaches the edge, clear holes and specks."""
    offset = frames - ground_colour(frames)
    distance = np.linalg.norm(offset, axis=-1)
    between = (distance > _BETWEEN[0]) & (distance < _BETWEEN[1])
    if between.sum() <= _MOST_BETWEEN * len(frames):
        return _without_specks(~_ground(offset, _SHARP))
    if np.median(distance[:, _edge()]) < _NOISY:
        return _without_specks(~_ground(offset, _SOFT))
    offset = blurred(offset, _SMOOTHING)
    noise = _NOISE_SHARE * float(np.quantile(np.linalg.norm(offset, axis=-1)[:, _edge()], 0.99))
    figure = ~_ground(offset, max(_SOFT, noise))
    return _without_specks(_neighbours(figure).sum(0) > 4)  # as most of 3 x 3 pixels


def cut_out(frames: Frames) -> UInt8[np.ndarray, "frames 64 64 4"]:
    """The frames with transparent ground: alpha is 0 (and the colour black) or 255."""
    shown = figure_of(frames)[..., None]
    colours = frames.round().clip(0, 255) * shown
    return np.concatenate([colours, 255 * shown], axis=-1).astype(np.uint8)


def _ground(offset: Frames, tolerance: float) -> Masks:
    """What is like the ground and reaches the edge of the frame, or is a hole that clearly shows ground.

    Args:
        offset: of the frames' colours from the ground's.
    """
    like_ground = np.linalg.norm(offset, axis=-1) < tolerance
    border = np.pad(np.zeros((CELL - 2, CELL - 2), bool), 1, constant_values=True)
    ground = _grown(np.broadcast_to(border, like_ground.shape), like_ground)
    clear = np.linalg.norm(_neighbours(offset).mean(0), axis=-1) < _CLEARLY * tolerance
    return ground | _grown(clear, like_ground & ~ground)


def _without_specks(figure: Masks) -> Masks:
    """The parts of a figure that somewhere fill 3 x 3 pixels."""
    return _grown(np.all(_neighbours(figure), axis=0), figure)


def _grown(seeds: Masks, allowed: Masks) -> Masks:
    """All that is allowed and connected with a seed by steps up, down, left and right."""
    reached, count = seeds & allowed, -1
    while count != (count := int(reached.sum())):
        reached = np.any(_neighbours(reached)[_CROSS], axis=0) & allowed
    return reached


def _neighbours(values: Shaped[np.ndarray, "frames 64 64 *rest"]) -> Shaped[np.ndarray, "9 ..."]:
    """Each pixel's 3 x 3 neighbours, row by row; 0 outside the frame."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), *((0, 0),) * (values.ndim - 3)))
    return np.stack([padded[:, y : y + CELL, x : x + CELL] for y in range(3) for x in range(3)])


def _edge() -> Bool[np.ndarray, "64 64"]:
    edge = np.ones((CELL, CELL), bool)
    edge[_RING:, _RING:-_RING] = False
    return edge
