"""Which character a clip shows, doing what: a search over the layers that it may be made of.

There is no network and no training. Poses come from statistics of all characters (pose_search.py), layers
from a search in each of a few poses (layer_fit.py), certainty from whole figures around the best one, drawn
as soft as the frames are (soft_fit.py).

    reader = AttributeReader(read_sheets(Path("Sprites")))
    reader.read(read_clip("made.mp4", fps=8).frames.numpy()).attributes["top"]
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8

from .ground import ground_colour, native_frames
from .layer_fit import NONE, Columns, Frames, Options, Pose, columns_of, fit_layers, pose_of
from .pose_search import PoseSearch
from .scenes import OWN_EYES
from .sheets import ACTIONS, DIRECTIONS, LAYERS, Sheets
from .soft_fit import Figure, Picture, SoftFit, Softness, fit_softly, soften

# A value is told if all four hold. They were set on reconstructions of a small tokenizer and on noise.
# 1 is the value's own picture, 0 halfway between it and the next one's.
_LEAST_CERTAINTY = 0.2
# Logarithm of how much likelier the frames are than with the next value, were pixels' errors independent.
_LEAST_EVIDENCE = 20.0
# Root mean squared difference at the pixels that a layer shows, 0..255: else no option is what is seen.
_MOST_MISFIT = 45.0
# Of the squared differences between the frames and the empty background, the part that the figure explains.
_LEAST_EXPLAINED = 0.5

_LEAST_RESIDUE = 1.0  # of a pixel: perfect frames would make it infinitely sure
_SAME_PICTURE = 100.0  # sum of squared differences below which two figures are one
_MARGIN = 3  # pixels around all figures that are looked at


@dataclass(frozen=True)
class Reading:
    """What was read.

    Args:
        attributes: action, direction, body, hair, top, bottom, shoes (scenes.KEYS) and eyes, as in
            captions.jsonl; None where it cannot be told.
        certainty: of the likeliest value of each, told or not: 1 if the frames are its own picture, 0 if they
            are halfway between it and that of the next value.
        explained: how much of what differs from the background the figure explains, at most 1.
        phase: the frame of the action's cycle that comes first.
        softness: of the frames, in pixels of the sheets.
        background: the colour around the figure.
    """

    attributes: dict[str, str | int | None]
    certainty: dict[str, float]
    explained: float
    phase: int
    softness: Softness
    background: tuple[float, float, float]


@dataclass(frozen=True)
class _Candidate:
    """A pose and phase with the best layers."""

    pose: Pose
    phase: int
    columns: Columns
    options: Options
    error: float


class AttributeReader:
    """Reads clips of characters made of one folder of sheets."""

    def __init__(self, sheets: Sheets):
        used = range(max(action.row for action in ACTIONS.values()) + len(DIRECTIONS))
        drawn = np.any([cells[:, used][..., 3].any((0, 1, 2)) for cells in sheets.cells.values()], axis=0)
        rows, columns = (_around(np.flatnonzero(drawn.any(axis))) for axis in (1, 0))
        self.window = (rows, columns)
        self.sheets = Sheets({layer: cells[:, :, :, rows, columns] for layer, cells in sheets.cells.items()})
        poses = [pose_of(self.sheets, action, way) for action in ACTIONS for way in DIRECTIONS]
        self.search = PoseSearch(poses)

    def read(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> Reading:
        """Read a clip at the sheets' rate of a cell a frame (8 a second, as it is rendered).

        Raises:
            ValueError: if frames are not square and 64, 128, … pixels high.
        """
        native = native_frames(frames)
        background = ground_colour(native)
        native = native[:, *self.window]
        candidates = self._candidates(native, background)
        best = candidates[0]
        fit = fit_softly(best.columns, Figure(self.sheets, best.pose, background), best.options)
        noise = max(fit.error / native.size, _LEAST_RESIDUE**2)
        ground = float(np.square(native - background).sum())
        explained = 1 - fit.error / max(ground, noise * native.size)
        gaps, distances = dict(fit.gaps), dict(fit.distances)
        for kind in ("action", "direction"):
            gaps[kind], distances[kind] = self._other_poses(kind, candidates, fit, native, background)
        values = _values(best.pose, fit.options)
        certainty = {name: _certainty(gaps[name], distances[name]) for name in values}
        told = {
            name: explained >= _LEAST_EXPLAINED
            and certainty[name] >= _LEAST_CERTAINTY
            and gaps[name].min(initial=np.inf) >= 2 * noise * _LEAST_EVIDENCE
            and fit.misfit.get(name, 0.0) <= _MOST_MISFIT
            for name in values
        }
        attributes = {name: value if told[name] else None for name, value in values.items()}
        return Reading(attributes, certainty, explained, best.phase, fit.softness, tuple(background.tolist()))

    def _candidates(self, frames: Frames, background: Float32[np.ndarray, " 3"]) -> list[_Candidate]:
        """The likeliest first."""
        found = []
        for pose, phase in self.search.candidates(frames, background):
            columns = columns_of(frames, pose.shape[0], phase)
            found.append(_Candidate(pose, phase, columns, *fit_layers(columns, background, pose)))
        return sorted(found, key=lambda candidate: candidate.error)

    def _other_poses(
        self, kind: str, candidates: list[_Candidate], fit: SoftFit, frames: Frames, background
    ) -> tuple[Float[np.ndarray, " others"], Float[np.ndarray, " others"]]:
        """As `SoftFit.gaps` and `.distances`, of candidates with another action or direction."""
        best = candidates[0]
        shown = _shown(fit.picture, best.phase, len(frames))
        gaps, distances = [], []
        for each in candidates:
            if getattr(each.pose, kind) != getattr(best.pose, kind):
                drawn = soften(Figure(self.sheets, each.pose, background).draw(each.options), fit.softness)
                other = _shown(drawn, each.phase, len(frames))
                gaps.append(float(np.square(frames - other).sum()) - fit.error)
                distances.append(float(np.square(other - shown).sum()))
        return np.array(gaps), np.array(distances)


def _values(pose: Pose, options: Options) -> dict[str, str | int]:
    eyes = {"eyes": OWN_EYES} if options.get("eyes", NONE) == NONE else {}
    layers = {layer: options[layer] for layer in LAYERS if layer in options}
    return {"action": pose.action, "direction": pose.direction} | layers | eyes


def _certainty(gaps: Float[np.ndarray, " others"], distances: Float[np.ndarray, " others"]) -> float:
    """The least over all other values, 1 if there is none."""
    sure = np.where(distances > _SAME_PICTURE, gaps / np.maximum(distances, _SAME_PICTURE), 0.0)
    return float(np.clip(sure, 0, 1).min(initial=1.0))


def _shown(picture: Picture, phase: int, num_frames: int) -> Frames:
    return picture[(phase + np.arange(num_frames)) % len(picture)]


def _around(places: np.ndarray) -> slice:
    return slice(max(int(places[0]) - _MARGIN, 0), int(places[-1]) + 1 + _MARGIN)
