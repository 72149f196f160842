"""How well clips of one character agree, and which of several tries of each agree best.

Without the layer sheets clips are compared by the colours that they show at the height of head, chest, legs
and feet. With them, by what the reader reads.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, UInt8

from .attribute_reader import Reading
from .scenes import PARTS

Look = Float[np.ndarray, "bands colours"]  # shares of the colours in each band, which sum to 1 or 0

_BANDS = (0, 34, 46, 57, 64)  # rows of a cell: head with hair, chest, legs, feet
_LEVELS = 5  # of red, green and blue; a colour between two counts for both
_MOST_ROUNDS = 20


@dataclass(frozen=True)
class Try:
    """A clip of the character, as far as it is judged.

    Args:
        look: of its cells.
        closes: whether its cycle does.
        right: attributes that are read as they were asked for; 0 if there is no reader.
    """

    look: Look
    closes: bool
    right: int = 0


def look_of(cells: UInt8[np.ndarray, "period 64 64 4"]) -> Look:
    """Which colours the figure has at which height, over all cells together."""
    bands = []
    for top, bottom in pairwise(_BANDS):
        band = cells[:, top:bottom]
        weights = _level_weights(band[band[..., 3] > 0][:, :3])
        histogram = np.einsum("nr,ng,nb->rgb", *weights).ravel()
        bands.append(histogram / max(histogram.sum(), 1.0))
    return np.stack(bands)


def agreement(look: Look, common: Look) -> float:
    """The part of the colours that two looks share, 0 to 1, the mean over the bands."""
    return float(np.minimum(look, common).sum(1).mean())


def choose(tries: Sequence[Sequence[Try]]) -> list[int]:
    """Which try of each clip is kept.

    Those with most right attributes are preferred, of these the ones that close, of these the one that agrees
    best with the mean look of the clips chosen; at first that is the mean of all tries.
    """
    common = np.mean([each.look for group in tries for each in group], axis=0)
    chosen: list[int] = []
    for _ in range(_MOST_ROUNDS):
        before, chosen = chosen, [_best(group, common) for group in tries]
        if chosen == before:
            break
        common = np.mean([group[index].look for group, index in zip(tries, chosen, strict=True)], axis=0)
    return chosen


def identity_agreement(readings: Sequence[Reading]) -> dict[str, float]:
    """Of each attribute of a character, the share of clips that show the value that most of them show.

    A clip of which it cannot be told shows none. "mean" is the mean over the attributes.
    """
    shares = {}
    for part in PARTS:
        values = Counter(reading.attributes[part] for reading in readings)
        most = max((count for value, count in values.items() if value is not None), default=0)
        shares[part] = most / len(readings)
    return shares | {"mean": float(np.mean(list(shares.values())))}


def _best(group: Sequence[Try], common: Look) -> int:
    rated = [(each.right, each.closes, agreement(each.look, common)) for each in group]
    return rated.index(max(rated))


def _level_weights(
    colours: UInt8[np.ndarray, "pixels 3"],
) -> list[Float[np.ndarray, "pixels levels"]]:
    """How much each pixel's red, green and blue count for each level."""
    place = colours / 255 * (_LEVELS - 1)
    weights = np.maximum(0, 1 - np.abs(place[..., None] - np.arange(_LEVELS)))
    return [weights[:, channel] for channel in range(3)]
