"""Scores of a set of generated clips, each computed from features of all clips.

    distance    of the features of real and generated clips: fvd, fid, fad and those without weights
    inception   score of a classifier's logits for generated clips: is, is_classifier
    mean        of a number for each generated clip: clipsim
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any, Literal

import torch
from torch import Tensor

from ...data.media.clip import Clip
from . import c3d, i3d
from .extractors import Extractor, MelStatistics, random_features
from .frechet import extrapolated_frechet_distance, frechet_distance
from .inception_score import inception_score
from .kernel_distance import kernel_distance
from .score import Score
from .weights_folder import WeightsFolder

_MOST_FOR_KERNEL = 10_000  # clips, whose products of pairs still fit into memory


@dataclass(frozen=True)
class Measure:
    """One score.

    Args:
        name: of the score.
        kind: see above.
        needs: what a clip must have.
        extractor: of the features; none if it cannot be computed.
        reason: why not.
    """

    name: str
    kind: Literal["distance", "inception", "mean"]
    needs: Literal["", "caption", "sound"] = ""
    extractor: Extractor | None = None
    reason: str = ""

    def applies_to(self, clip: Clip) -> bool:
        if self.needs == "caption":
            return bool(clip.caption)
        return self.needs != "sound" or clip.waveform is not None

    def of(
        self, real: Sequence[Tensor], generated: Sequence[Sequence[Tensor]], seed: int, splits: int = 1
    ) -> Score:
        """The score of features, "rows dim" of each clip.

        Args:
            real: of the real clips; used by distances only.
            generated: of the generated ones, one set for each repeat.
            seed: of the order in which clips are divided or left out.
            splits: of an inception score, where there is one set only.
        """
        if self.extractor is None:
            return Score(self.name, reason=self.reason)
        if not all(generated) or (self.kind == "distance" and not real):
            lacking = f"no clip has a {self.needs}" if self.needs else "there are no clips"
            return Score(self.name, reason=lacking, constants=self.extractor.constants)
        sets = [torch.cat(list(rows)) for rows in generated]
        generator = torch.Generator().manual_seed(seed)
        constants = self.extractor.constants | {"clips": sum(map(len, generated)), "repeats": len(sets)}
        try:
            if self.kind == "distance":
                constants |= {"real_clips": len(real), "features": sets[0].shape[1]}
                values, extra = _distances(torch.cat(list(real)), sets, generator)
            elif self.kind == "inception":
                values, extra = _inception(sets, splits, generator)
            else:
                values, extra = [float(rows.double().mean()) for rows in sets], {}
        except ValueError as error:
            return Score(self.name, reason=str(error), constants=constants)
        spread = pstdev(values) if len(values) > 1 else extra.pop("spread", None)
        return Score(self.name, fmean(values), spread, constants | extra)


# Of every score its kind and what a clip needs for it. Those without weights come right after those with.
_VIDEO = {
    "fvd": ("distance", ""),
    "fvd_random": ("distance", ""),
    "is": ("inception", ""),
    "is_classifier": ("inception", ""),
    "clipsim": ("mean", "caption"),
    "fad": ("distance", "sound"),
    "fad_clap": ("distance", "sound"),
    "fad_mel": ("distance", "sound"),
}
_IMAGES = {"fid": ("distance", ""), "fid_random": ("distance", ""), "clipsim": ("mean", "caption")}


def measures(weights: WeightsFolder, num_frames: int, names: Sequence[str] = ()) -> list[Measure]:
    """The scores of videos, or of images if clips have one frame.

    Args:
        names: only these; all if none are given.

    Raises:
        ValueError: if a file of weights cannot be used.
    """
    known = _IMAGES if num_frames == 1 else _VIDEO
    return [
        _measure(weights, name, kind, needs, num_frames)
        for name, (kind, needs) in known.items()
        if not names or name in names
    ]


def _measure(weights: WeightsFolder, name: str, kind: Any, needs: Any, num_frames: int) -> Measure:
    if name in ("fvd_random", "fid_random"):
        return Measure(name, kind, needs, random_features())
    if name == "fad_mel":
        return Measure(name, kind, needs, MelStatistics())
    found = _wrong_length(name, num_frames) or weights.extractor(name)
    if isinstance(found, str):
        return Measure(name, kind, needs, reason=found)
    return Measure(name, kind, needs, found)


def _wrong_length(name: str, num_frames: int) -> str:
    """Why a network does not see clips of this length; empty if it does."""
    if name == "fvd" and num_frames < i3d.LEAST_FRAMES:
        return f"I3D sees {i3d.LEAST_FRAMES} frames or more, not {num_frames}"
    if name == "is" and num_frames != c3d.FRAMES:
        return f"C3D sees {c3d.FRAMES} frames, not {num_frames}"
    return ""


def _distances(
    real: Tensor, sets: Sequence[Tensor], generator: torch.Generator
) -> tuple[list[float], dict[str, Any]]:
    """Frechet distance of each set; beside it, of the first, what depends less on the number of clips."""
    values = [frechet_distance(real, rows) for rows in sets]
    extra: dict[str, Any] = {}
    if max(len(real), len(sets[0])) <= _MOST_FOR_KERNEL:
        extra["kernel_distance"] = kernel_distance(real, sets[0])
    if len(sets[0]) > 2 * sets[0].shape[1]:
        extra["extrapolated"] = extrapolated_frechet_distance(real, sets[0], generator)
    else:
        extra["note"] = "fewer than twice as many clips as features: the distance is far too large"
    return values, extra


def _inception(
    sets: Sequence[Tensor], splits: int, generator: torch.Generator
) -> tuple[list[float], dict[str, Any]]:
    if len(sets) > 1:
        return [inception_score(rows, 1)[0] for rows in sets], {}
    value, spread = inception_score(sets[0], splits, generator)
    return [value], {"splits": splits} | ({"spread": spread} if splits > 1 else {})
