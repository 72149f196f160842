"""Options of `videolm play`; nothing here imports torch or the server's packages."""

from dataclasses import dataclass
from pathlib import Path

from ...data.runtime.typed_fields import check_least


@dataclass(frozen=True)
class PlayOptions:
    """How many play, and what is kept.

    Args:
        out: folder for games that are saved, in the format of `videolm record`.
        players: at a time; a further one is told that there is no place.
        steps: actions of an episode, at most.
        keep: saved games of a player; more are refused.
    """

    out: Path = Path("runs/play")
    players: int = 4
    steps: int = 2000
    keep: int = 1000

    def __post_init__(self) -> None:
        check_least(self, players=1, steps=1, keep=1)
