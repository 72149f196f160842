"""Which actions, directions and phases frames may show, before it is known which layers they show.

Of all characters together each cell has a mean and a variance at every pixel, layers being independent of
each other. Frames are compared with these as with a normal distribution; that takes two products of matrices.
"""

import numpy as np
from jaxtyping import Float, Float32
from numpy.typing import NDArray

from .layer_fit import Pose
from .sheets import OPTIONAL

_LEAST_DEVIATION = 20.0  # of a pixel, 0..255: frames to be read are soft and noisy
_BEST = 4  # candidates, beside the best one of each action and of each direction

Candidate = tuple[Pose, int]


class PoseSearch:
    def __init__(self, poses: list[Pose]):
        self.poses = poses
        moments = [_moments(pose) for pose in poses]
        cover, mean, square = (np.concatenate(each) for each in zip(*moments, strict=True))
        self.places = np.flatnonzero(cover.any(0))  # the pixels at which anything is ever shown
        self.cover = cover[:, self.places, None]
        self.mean, self.square = mean[:, self.places], square[:, self.places]
        ends = np.cumsum([pose.shape[0] for pose in poses])
        self.cells = [np.arange(end - pose.shape[0], end) for pose, end in zip(poses, ends, strict=True)]

    def candidates(
        self, frames: Float32[np.ndarray, "frames height width 3"], background: NDArray
    ) -> list[Candidate]:
        """The likeliest poses and phases, among them one of each action and one of each direction."""
        misfit = self._misfit(frames.reshape(len(frames), -1, 3)[:, self.places], background)
        time = np.arange(len(frames))
        rated: list[tuple[float, Candidate]] = []
        for pose, cells in zip(self.poses, self.cells, strict=True):
            for phase in range(len(cells)):
                rated.append((float(misfit[time, cells[(phase + time) % len(cells)]].sum()), (pose, phase)))
        rated.sort(key=lambda each: each[0])
        ordered = [candidate for _, candidate in rated]
        chosen = ordered[:_BEST]
        for kind in ("action", "direction"):
            for value in dict.fromkeys(getattr(pose, kind) for pose, _ in ordered):
                first = next(each for each in ordered if getattr(each[0], kind) == value)
                chosen += [] if first in chosen else [first]
        return chosen

    def _misfit(self, frames: Float32[np.ndarray, "frames places 3"], background: NDArray) -> NDArray:
        """Twice the negative logarithm of each frame's likelihood in each cell, less a constant."""
        ground = np.asarray(background, np.float32)
        mean = self.mean + (1 - self.cover) * ground
        square = self.square + (1 - self.cover) * ground**2
        variance = np.maximum(square - mean**2, 0) + _LEAST_DEVIATION**2
        inverse = (1 / variance).reshape(len(mean), -1)
        mean, variance = mean.reshape(len(mean), -1), variance.reshape(len(mean), -1)
        flat = frames.reshape(len(frames), -1)
        constant = (mean**2 * inverse + np.log(variance)).sum(1)
        return flat**2 @ inverse.T - 2 * flat @ (mean * inverse).T + constant


def _moments(
    pose: Pose,
) -> tuple[Float[np.ndarray, "period n"], Float[np.ndarray, "period n 3"], Float[np.ndarray, "period n 3"]]:
    """How likely each pixel is covered; mean of its colour and of the colour's square, 0 where it is not."""
    period, height, width = pose.shape
    size = period * height * width
    cover, mean, square = np.zeros(size), np.zeros((size, 3)), np.zeros((size, 3))
    for name, layer in pose.layers.items():
        # Half of the characters have no layer of eyes.
        share = 1 / (layer.options * (2 if name == OPTIONAL else 1))
        covers = np.bincount(layer.place, minlength=size) * share
        colour = layer.colour * share
        own = np.stack([np.bincount(layer.place, colour[:, c], size) for c in range(3)], 1)
        own_square = np.stack(
            [np.bincount(layer.place, colour[:, c] * layer.colour[:, c], size) for c in range(3)], 1
        )
        mean = mean * (1 - covers[:, None]) + own
        square = square * (1 - covers[:, None]) + own_square
        cover = 1 - (1 - cover) * (1 - covers)
    shaped = (period, height * width)
    return (
        cover.reshape(shaped).astype(np.float32),
        mean.reshape(*shaped, 3).astype(np.float32),
        square.reshape(*shaped, 3).astype(np.float32),
    )
