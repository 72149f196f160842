"""rFVD, and rFID of images: the distance between the features of clips and of their reconstructions.

It is FVD with reconstructions in place of generated clips; all clips keep their size until the network
resizes them. `rfvd_random` is the same by the fixed random network, which needs no weights.
"""

from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from ...data.media.clip import Clip
from .measures import Measure, measures
from .score import Score
from .weights_folder import WeightsFolder

_NAMES = ("fvd", "fvd_random", "fid", "fid_random")
_ANY_RATE = 1.0  # of frames, which features of pictures do not depend on


class ReconstructionDistance:
    """Collects the features of clips and of their reconstructions, one pair at a time.

    Args:
        weights: of the networks.
        num_frames: of every clip; 1 for images.

    Raises:
        ValueError: if a file of weights cannot be used.
    """

    def __init__(self, weights: WeightsFolder, num_frames: int):
        self.num_frames = num_frames
        self.measures = measures(weights, num_frames, _NAMES)
        self.features: dict[str, tuple[list[Tensor], list[Tensor]]] = {
            measure.name: ([], []) for measure in self.measures
        }

    def add(
        self, frames: UInt8[Tensor, "frames height width 3"], decoded: UInt8[Tensor, "frames height width 3"]
    ) -> None:
        pair = [Clip(frames, _ANY_RATE), Clip(decoded, _ANY_RATE)]
        for measure in self.measures:
            if measure.extractor is not None:
                for kept, rows in zip(self.features[measure.name], measure.extractor(pair), strict=True):
                    kept.append(rows)

    def scores(self) -> list[Score]:
        """The distances, named rfvd and so on."""
        return [self._score(measure) for measure in self.measures]

    def _score(self, measure: Measure) -> Score:
        real, decoded = self.features[measure.name]
        score = measure.of(real, [decoded], seed=0)
        constants: dict[str, Any] = {"num_frames": self.num_frames} | score.constants
        return Score(f"r{score.name}", score.value, score.spread, constants, score.reason)
