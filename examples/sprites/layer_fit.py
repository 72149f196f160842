"""The layers that explain frames best, for one action, direction and phase: a fast search.

A pixel shows the topmost layer that covers it, so the squared error of a whole figure is a sum over pixels
of the error of one layer there. Errors of all options are computed once, at the pixels that they cover;
then one layer after the other takes the option that is best given the others, from the top one down, until
nothing changes. Pixels below half opacity are left out here (1 in 400); soft_fit.py has them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from .sheets import ACTIONS, LAYERS, OPAQUE, OPTIONAL, Sheets

Frames = Float32[np.ndarray, "frames height width 3"]
Options = dict[str, int]  # the number of each layer's sheet
NONE = -1  # the layer is left out
_MOST_SWEEPS = 8


@dataclass(frozen=True)
class LayerPixels:
    """The pixels that the options of one layer cover in a cycle, option by option.

    Args:
        options: how many.
        option: of each pixel, ascending.
        place: of each pixel, in a cycle's flattened (period, height, width).
        colour: 0..255.
    """

    options: int
    option: Int[np.ndarray, " pixels"]
    place: Int[np.ndarray, " pixels"]
    colour: Float32[np.ndarray, "pixels 3"]

    def of(self, option: int) -> slice:
        """The pixels of an option; none of NONE."""
        first, end = np.searchsorted(self.option, [option, option + 1])
        return slice(int(first), int(end))


@dataclass(frozen=True)
class Pose:
    """All layers in one action seen from one direction.

    Args:
        shape: period, height, width.
    """

    action: str
    direction: str
    shape: tuple[int, int, int]
    layers: dict[str, LayerPixels]


def pose_of(sheets: Sheets, action: str, direction: str) -> Pose:
    layers = {}
    for layer in LAYERS:
        if sheets.options(layer):
            cells = sheets.cycle(layer, action, direction)
            option, *where = np.nonzero(cells[..., 3] >= OPAQUE)
            colour = cells[..., :3][option, *where].astype(np.float32)
            place = np.ravel_multi_index(tuple(where), cells.shape[1:4])
            layers[layer] = LayerPixels(len(cells), option, place, colour)
    return Pose(action, direction, (ACTIONS[action].period, *sheets.cells["body"].shape[3:5]), layers)


def allows_none(layer: str) -> bool:
    """Whether a figure may do without the layer."""
    return layer == OPTIONAL


@dataclass(frozen=True)
class Columns:
    """Frames sorted by the column of the cycle that they show; those of one column are averaged.

    Args:
        mean: of the frames of each column; 0 where there is none.
        count: how many they are.
        spread: sum of squared differences between the frames and their mean.
    """

    mean: Float32[np.ndarray, "period height width 3"]
    count: Int[np.ndarray, " period"]
    spread: float


def columns_of(frames: Frames, period: int, phase: int) -> Columns:
    """`phase` is the column of the first frame."""
    column = (phase + np.arange(len(frames))) % period
    count = np.bincount(column, minlength=period)
    mean = np.zeros((period, *frames.shape[1:]), np.float32)
    np.add.at(mean, column, frames)
    mean /= np.maximum(count, 1)[:, None, None, None]
    return Columns(mean, count, float(np.square(frames - mean[column]).sum()))


def fit_layers(columns: Columns, background: Float32[np.ndarray, " 3"], pose: Pose) -> tuple[Options, float]:
    """The best options, and their sum of squared differences over all frames."""
    return _Search(columns, background, pose).run()


class _Search:
    def __init__(self, columns: Columns, background: Float32[np.ndarray, " 3"], pose: Pose):
        self.layers = pose.layers
        self.spread = columns.spread
        target = columns.mean.reshape(-1, 3)
        weight = columns.count.repeat(pose.shape[1] * pose.shape[2]).astype(np.float32)
        self.ground = weight * np.square(target - background).sum(1)
        self.errors = {
            name: weight[layer.place] * np.square(target[layer.place] - layer.colour).sum(1)
            for name, layer in self.layers.items()
        }

    def run(self) -> tuple[Options, float]:
        options = self._first_guess()
        for _ in range(_MOST_SWEEPS):
            before = dict(options)
            for name in reversed(self.layers):
                options[name] = self._best(name, *self._surroundings(name, options))
            if options == before:
                break
        top = next(reversed(self.layers))
        error, _ = self._surroundings(top, options)
        self._cover(error, top, options)
        return options, float(error.sum()) + self.spread

    def _first_guess(self) -> Options:
        """From the top down: below a layer each pixel is taken to show whichever lower option suits it."""
        best_below = [self.ground]
        for name, layer in self.layers.items():
            below = best_below[-1].copy()
            np.minimum.at(below, layer.place, self.errors[name])
            best_below.append(below)
        options: Options = {}
        free = np.ones(len(self.ground), bool)
        for name, below in zip(reversed(self.layers), reversed(best_below[:-1]), strict=True):
            options[name] = self._best(name, below, free)
            free[self.layers[name].place[self.layers[name].of(options[name])]] = False
        return options

    def _surroundings(
        self, name: str, options: Options
    ) -> tuple[Float[np.ndarray, " places"], Bool[np.ndarray, " places"]]:
        """The error of what the layers below show, and where none of those above covers it."""
        names = list(self.layers)
        position = names.index(name)
        below = self.ground.copy()
        for lower in names[:position]:
            self._cover(below, lower, options)
        free = np.ones(len(below), bool)
        for upper in names[position + 1 :]:
            free[self.layers[upper].place[self.layers[upper].of(options[upper])]] = False
        return below, free

    def _cover(self, error: Float[np.ndarray, " places"], name: str, options: Options) -> None:
        pixels = self.layers[name].of(options[name])
        error[self.layers[name].place[pixels]] = self.errors[name][pixels]

    def _best(self, name: str, below: Float[np.ndarray, " places"], free: Bool[np.ndarray, " places"]) -> int:
        layer = self.layers[name]
        gain = (self.errors[name] - below[layer.place]) * free[layer.place]
        costs = np.bincount(layer.option, gain, layer.options)
        best = int(costs.argmin())
        return NONE if allows_none(name) and costs[best] >= 0 else best
