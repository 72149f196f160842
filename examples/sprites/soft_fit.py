"""How sure each layer of a figure is, with frames as soft as a decoder's.

Around the best options of the fast search whole figures are drawn, with their half-transparent pixels, and
blurred as much as makes them most alike to the frames: else skin would read darker than it is, since its
dark outlines bleed into it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from .layer_fit import Columns, Options, Pose, allows_none
from .sheets import Sheets

_BLURS = (0.0, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.5)  # standard deviations in pixels
_MOST_SWEEPS = 4

Picture = Float32[np.ndarray, "period height width 3"]  # one cycle
Pictures = Float32[np.ndarray, "*batch period height width 3"]


@dataclass(frozen=True)
class SoftFit:
    """The best options.

    Args:
        error: sum of squared differences over all frames.
        blur: standard deviation in pixels.
        gaps: of every layer and each other option, leaving it out among them, by how much the error would
            be greater with that.
        distances: sum of squared differences between the frames of that option and those of the best.
        misfit: of every layer, root mean squared difference at the pixels that it shows; 0 if it shows none.
        picture: one cycle as the options show it, blurred.
    """

    options: Options
    error: float
    blur: float
    gaps: dict[str, Float32[np.ndarray, " others"]]
    distances: dict[str, Float32[np.ndarray, " others"]]
    misfit: dict[str, float]
    picture: Picture


class Figure:
    """Figures of one pose in front of one background."""

    def __init__(self, sheets: Sheets, pose: Pose, background: Float32[np.ndarray, " 3"]):
        self.background, self.shape = background, (*pose.shape, 3)
        self.colours, self.alphas = {}, {}
        for name in pose.layers:
            cells = sheets.cycle(name, pose.action, pose.direction).astype(np.float32)
            cells = np.concatenate([np.zeros_like(cells[:1]), cells])  # NONE comes first
            self.colours[name], self.alphas[name] = cells[..., :3], cells[..., 3:] / 255

    def draw(self, options: Options) -> Picture:
        return self._cover(self._ground(), list(self.colours), options)

    def variants(self, name: str, options: Options) -> Float32[np.ndarray, "each period height width 3"]:
        """The figure without a layer, then with each option of it in turn."""
        names = list(self.colours)
        position = names.index(name)
        below = self._cover(self._ground(), names[:position], options)
        pictures = below + (self.colours[name] - below) * self.alphas[name]
        return self._cover(pictures, names[position + 1 :], options)

    def share(self, name: str, options: Options) -> Float32[np.ndarray, "period height width 1"]:
        """How much of each pixel a layer is seen in, 0 to 1."""
        names = list(self.alphas)
        seen = self.alphas[name][options[name] + 1]
        for upper in names[names.index(name) + 1 :]:
            seen = seen * (1 - self.alphas[upper][options[upper] + 1])
        return seen

    def _ground(self) -> Picture:
        return np.broadcast_to(self.background, self.shape).astype(np.float32)

    def _cover(self, pictures: Pictures, names: list[str], options: Options) -> Pictures:
        for name in names:
            index = options[name] + 1
            pictures = pictures + (self.colours[name][index] - pictures) * self.alphas[name][index]
        return pictures


def fit_softly(columns: Columns, figure: Figure, options: Options) -> SoftFit:
    """Go on from the options of the fast search to the best ones nearby."""
    options = dict(options)
    blur = 0.0
    for _ in range(_MOST_SWEEPS):
        before, blur = dict(options), best_blur(columns, figure.draw(options))
        for name in reversed(figure.colours):
            errors = _errors(columns, blurred(figure.variants(name, options), blur))
            options[name] = int(errors.argmin()) - 1 if allows_none(name) else int(errors[1:].argmin())
        if options == before:
            break
    picture = blurred(figure.draw(options), blur)
    error = float(_errors(columns, picture[None])[0])
    gaps, distances = {}, {}
    for name in figure.colours:
        variants = blurred(figure.variants(name, options), blur)
        others = np.arange(len(variants)) != options[name] + 1
        gaps[name] = (_errors(columns, variants) - error)[others]
        distances[name] = _weighted(columns, np.square(variants - picture))[others]
    misfit = {name: _misfit(columns, picture, figure.share(name, options)) for name in figure.colours}
    return SoftFit(options, error, blur, gaps, distances, misfit, picture)


def best_blur(columns: Columns, picture: Picture) -> float:
    errors = [_errors(columns, blurred(picture, blur)[None])[0] for blur in _BLURS]
    return _BLURS[int(np.argmin(errors))]


def blurred(pictures: Pictures, blur: float) -> Pictures:
    """A Gaussian blur over height and width, whose edges go on as they are."""
    if not blur:
        return pictures
    reach = int(np.ceil(3 * blur))
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / blur))
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (pictures.ndim - 3, pictures.ndim - 2):
        length = pictures.shape[axis]
        around = [(reach, reach) if each == axis else (0, 0) for each in range(pictures.ndim)]
        padded = np.moveaxis(np.pad(pictures, around, mode="edge"), axis, 0)
        result = kernel[0] * padded[:length]
        for offset in range(1, 2 * reach + 1):
            result += kernel[offset] * padded[offset : offset + length]
        pictures = np.moveaxis(result, 0, axis)
    return pictures


def _errors(columns: Columns, pictures: Pictures) -> Float32[np.ndarray, " batch"]:
    return _weighted(columns, np.square(pictures - columns.mean)) + columns.spread


def _misfit(columns: Columns, picture: Picture, share: Float32[np.ndarray, "period height width 1"]) -> float:
    """Differences of columns' means, so that noise counts less the more often a column is shown."""
    weight = share * columns.count[:, None, None, None]
    size = 3 * float(weight.sum())
    return float(np.sqrt((weight * np.square(picture - columns.mean)).sum() / size)) if size else 0.0


def _weighted(columns: Columns, squares: Pictures) -> Float32[np.ndarray, " batch"]:
    return squares.sum((2, 3, 4)) @ columns.count.astype(np.float32)
