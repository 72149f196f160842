"""A world of minigrid as policies know it, read off pictures: so that they act in a dream as in the real one.

    world = ReadGrid(first)
    world.show(frame)
    next_action(world)                  # minigrid_policy.py

It has what a `MiniGridEnv` has and policies ask for: the grid, where the agent is and looks, what it carries.
A picture that cannot be read changes nothing.
"""

from dataclasses import dataclass
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from .minigrid_state import MinigridState, Place, missing_keys, read_state, tiles_to_come

_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # by direction: right, down, left, up


@dataclass(frozen=True)
class Cell:
    """What stands on a tile, by the names of minigrid."""

    type: str
    color: str
    is_open: bool = False
    is_locked: bool = False


class ReadGrid:
    """A world that was seen.

    Args:
        first: its first picture.

    Attributes:
        grid: `get(column, row)`, `width`, `height`, and `grid`, all cells.
        agent_pos, agent_dir: of the agent.
        carrying: a cell, if a key is gone.

    Raises:
        ValueError: if the first picture cannot be read, or is none of whole tiles.
    """

    def __init__(self, first: UInt8[Tensor, "height width 3"]):
        state = read_state(first)
        if state.agent is None or not state.is_whole:
            raise ValueError("the first picture is no whole grid of minigrid with an agent")
        self._first, self._among = state, tiles_to_come(state)
        self._take(state)

    @property
    def front_pos(self) -> Place:
        """The tile before the agent."""
        step = _STEPS[self.agent_dir]
        return (self.agent_pos[0] + step[0], self.agent_pos[1] + step[1])

    def show(self, frame: UInt8[Tensor, "height width 3"]) -> None:
        """What is seen now."""
        state = read_state(frame, self._among)
        if state.agent is not None and state.is_whole:
            self._take(state)

    def _take(self, state: MinigridState) -> None:
        assert state.agent is not None
        self.agent_pos, self.agent_dir = state.agent[:2], state.agent[2]
        self.grid = _Cells(state)
        gone = missing_keys(self._first, state)
        self.carrying = Cell("key", gone[0]) if gone else None


class _Cells:
    def __init__(self, state: MinigridState):
        self._of = {place: _cell(tile) for place, tile in state.tiles.items()}
        self.width, self.height = (max(each) + 1 for each in zip(*self._of, strict=True))
        self.grid = list(self._of.values())

    def get(self, column: int, row: int) -> Cell | None:
        return self._of[column, row]


def _cell(tile: Any) -> Cell | None:
    if tile is None or tile.kind == "empty":
        return None
    return Cell(tile.kind, tile.colour, tile.state == "open", tile.state == "locked")
