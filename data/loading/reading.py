"""What reading a piece of a source gives: clips with what is known of them, or why there are none."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..analysis.geometry import Geometry
from ..codes.footage import Footage
from ..media.clip import Clip


@dataclass(frozen=True, eq=False)
class Reading:
    """What one piece gave.

    Args:
        name: the entry.
        clips: of the right size and length; as many windows as there are.
        captions: of every one of them.
        extra: whatever else is known.
        problem: why there are no clips; empty if there are.
        bucket: the number of the format that the clips have, of a source of several.
        geometry: their flow and depth, if known.
        first: how many windows of the entry stand in pieces before.
        path: of their file, relative to the source; empty of the embedded corpus.
        footage: how much of the entry was used; None of the embedded corpus.
        codes: of an episode, its "actions" and "outcome" (data/codes/episodes.py); empty of other clips.
    """

    name: str
    clips: tuple[Clip, ...] = ()
    captions: tuple[str, ...] = ()
    extra: dict[str, Any] | None = None
    problem: str = ""
    bucket: int = 0
    geometry: Geometry | None = None
    first: int = 0
    path: str = ""
    footage: Footage | None = None
    codes: dict[str, Tensor] = field(default_factory=dict)
