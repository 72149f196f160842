"""The state of a minigrid world, read off a picture of the whole grid in tiles of 8 pixels.

    state = read_state(frame)               # also of a frame that a tokenizer has blurred
    state.agent                             # (column, row, direction), or None where it is not certain
    state.doors                             # {(4, 2): "locked"}
    missing_keys(first, state)              # the colours of the keys that are gone: carried

Each tile is compared with those that minigrid draws, kept in minigrid_tiles.png, so that nothing of the extra
`videolm[world]` is needed. Its confidence is 1 - d1 / d2, where d1 is the distance to the nearest tile and d2
that to the nearest one of another meaning: 1 of an exact tile, 0 of one that may as well be the other. Below
a stated confidence, and beyond a distance at which it resembles nothing, a tile is read as None.

What cannot be seen is not read: what the agent carries is known from what is gone (`missing_keys`), what is
in a box is not known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float64, UInt8
from PIL import Image
from torch import Tensor

TILE = 8  # pixels of a side
COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
DOORS = ("open", "closed", "locked")
RIGHT, DOWN, LEFT, UP = range(4)  # directions of the agent, as minigrid numbers them
_COLUMNS = 16  # tiles of a row of the picture of all tiles
_LEAST_CONFIDENCE = 0.25
_MOST_DISTANCE = 64.0  # root mean square over the pixels, of 255 levels

Place = tuple[int, int]  # column, row


@dataclass(frozen=True)
class Tile:
    """What stands on a tile.

    Args:
        kind: empty, wall, floor, door, key, ball, box, goal or lava.
        colour: of it; empty of an empty tile.
        state: of a door: open, closed or locked.
        direction: of the agent, if it is here.
    """

    kind: str
    colour: str = ""
    state: str = ""
    direction: int | None = None


@dataclass(frozen=True)
class MinigridState:
    """What a picture shows.

    Args:
        tiles: by place; None of one that could not be read.
        confidence: of the least certain tile, in [0, 1].
    """

    tiles: Mapping[Place, Tile | None]
    confidence: float = 1.0

    @property
    def agent(self) -> tuple[int, int, int] | None:
        """Column, row and direction; None if no tile, or more than one, shows the agent."""
        found = [(*place, tile.direction) for place, tile in self._known() if tile.direction is not None]
        return found[0] if len(found) == 1 else None

    @property
    def doors(self) -> dict[Place, str]:
        """Open, closed or locked."""
        return {place: tile.state for place, tile in self._known() if tile.kind == "door"}

    @property
    def keys(self) -> dict[Place, str]:
        """Colours of the keys that lie on the grid."""
        return {place: tile.colour for place, tile in self._known() if tile.kind == "key"}

    @property
    def goals(self) -> set[Place]:
        return {place for place, tile in self._known() if tile.kind == "goal"}

    @property
    def is_whole(self) -> bool:
        """Whether every tile could be read."""
        return None not in self.tiles.values()

    def _known(self) -> Iterable[tuple[Place, Tile]]:
        return ((place, tile) for place, tile in self.tiles.items() if tile is not None)


def missing_keys(before: MinigridState, now: MinigridState) -> list[str] | None:
    """Colours of the keys that were there before and are no more: in minigrid the agent carries them.

    No key can be under the agent, which cannot step on one. None if either picture could not be read as a
    whole, for the key may lie where it was not. Of a dream this is what it shows, not what it knows: a key
    that fades from the picture counts as carried.
    """
    if not (before.is_whole and now.is_whole):
        return None
    gone = list(before.keys.values())
    for colour in now.keys.values():
        if colour in gone:
            gone.remove(colour)
    return sorted(gone)


def read_state(
    frame: UInt8[Tensor, "height width 3"], among: Sequence[Tile] | None = None
) -> MinigridState:
    """The state that a frame shows.

    Args:
        among: the tiles that there can be, such as `tiles_to_come`; all that minigrid has if not given.

    Raises:
        ValueError: if it does not consist of whole tiles.
    """
    return read_states(frame[None], among)[0]


def read_states(
    frames: UInt8[Tensor, "frames height width 3"], among: Sequence[Tile] | None = None
) -> list[MinigridState]:
    """The state that each frame shows; arguments and errors as of `read_state`."""
    count, height, width, _ = frames.shape
    if height % TILE or width % TILE:
        raise ValueError(f"frames are {height}x{width}; expected whole tiles of {TILE} pixels")
    columns, rows = width // TILE, height // TILE
    patches = rearrange(frames, "f (row p) (column q) rgb -> (f row column) (p q rgb)", p=TILE, q=TILE)
    tiles, confidences = _nearest(patches.double(), all_tiles() if among is None else list(among))
    places = [(column, row) for row in range(rows) for column in range(columns)]
    parts = [slice(number * len(places), (number + 1) * len(places)) for number in range(count)]
    return [
        MinigridState(dict(zip(places, tiles[part], strict=True)), float(confidences[part].min()))
        for part in parts
    ]


def true_state(world: Any) -> MinigridState:
    """The state of an environment itself, to compare with what was read.

    Args:
        world: a `MiniGridEnv`, such as `environment.unwrapped`.
    """
    agent = (*map(int, world.agent_pos), int(world.agent_dir))
    tiles: dict[Place, Tile | None] = {}
    for row in range(world.grid.height):
        for column in range(world.grid.width):
            cell = world.grid.get(column, row)
            direction = agent[2] if (column, row) == agent[:2] else None
            if cell is None:
                tiles[column, row] = Tile("empty", direction=direction)
                continue
            state = ""
            if cell.type == "door":
                state = "open" if cell.is_open else "locked" if cell.is_locked else "closed"
            tiles[column, row] = Tile(cell.type, cell.color, state, direction)
    return MinigridState(tiles)


def all_tiles() -> list[Tile]:
    """Every tile that can be told, in the order of minigrid_tiles.png."""
    stood_on = [Tile("empty"), Tile("goal", "green"), Tile("lava", "red")]
    stood_on += [Tile("floor", colour) for colour in COLOURS]
    stood_on += [Tile("door", colour, "open") for colour in COLOURS]
    closed = [Tile("door", colour, state) for state in DOORS[1:] for colour in COLOURS]
    things = [Tile(kind, colour) for kind in ("key", "ball", "box") for colour in COLOURS]
    here = [
        Tile(each.kind, each.colour, each.state, direction) for direction in range(4) for each in stood_on
    ]
    return [*stood_on, Tile("wall", "grey"), *closed, *things, *here]


def tiles_to_come(first: MinigridState) -> list[Tile]:
    """The tiles that a world may show, of its first picture: things stay of their kinds and colours.

    With fewer tiles to choose from a blurred one is told with more confidence: a grey locked door resembles a
    grey floor, of which most worlds have none. Not of worlds in which boxes are opened.
    """
    seen = {(tile.kind, tile.colour) for tile in first.tiles.values() if tile is not None}
    seen.add(("empty", ""))
    return [tile for tile in all_tiles() if (tile.kind, tile.colour) in seen]


def drawn_tiles(tiles: Sequence[Tile]) -> UInt8[Tensor, "tiles 8 8 3"]:
    """The pixels of some tiles, as minigrid draws them.

    Raises:
        ValueError: if minigrid has no such tile.
    """
    numbers = [all_tiles().index(tile) for tile in tiles]
    return rearrange(_drawn()[numbers], "tiles (p q rgb) -> tiles p q rgb", p=TILE, q=TILE).to(torch.uint8)


def _nearest(
    patches: Float64[Tensor, "tiles pixels"], known: list[Tile]
) -> tuple[list[Tile | None], Float64[Tensor, " tiles"]]:
    """Which of some tiles each patch shows, and how certain that is."""
    numbers_of = {tile: number for number, tile in enumerate(all_tiles())}
    drawn = _drawn()[[numbers_of[tile] for tile in known]]
    squares = (patches**2).sum(1, keepdim=True) + (drawn**2).sum(1) - 2 * patches @ drawn.T
    distances = (squares / patches.shape[1]).sqrt()  # exact: of whole numbers in double precision
    (nearest, second), numbers = (each.T for each in distances.topk(2, largest=False))
    confidence = 1 - nearest / second.clamp(min=1e-6)
    certain = (confidence >= _LEAST_CONFIDENCE) & (nearest <= _MOST_DISTANCE)
    found = [
        known[number] if is_certain else None
        for number, is_certain in zip(numbers[0].tolist(), certain.tolist(), strict=True)
    ]
    return found, confidence


@lru_cache(maxsize=1)
def _drawn() -> Float64[Tensor, "tiles pixels"]:
    """The pixels of all tiles."""
    with Image.open(Path(__file__).with_name("minigrid_tiles.png")) as picture:
        pixels = torch.from_numpy(np.array(picture.convert("RGB")))
    tiles = rearrange(pixels, "(row p) (column q) rgb -> (row column) (p q rgb)", p=TILE, column=_COLUMNS)
    return tiles[: len(all_tiles())].double()
