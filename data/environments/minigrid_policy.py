"""A purposeful policy of minigrid: the shortest way to the goal, through doors, with a key if it takes one.

It looks at the whole grid, not at what the agent sees, and plans anew at each step, so that random actions in
between (`--random-share`) do not lead it astray.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gymnasium import Env

LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE = range(6)
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # by direction: right, down, left, up
_PASSABLE = ("goal", "floor")

Pose = tuple[int, int, int]  # column, row, direction


def purposeful_policy(environment: "Env[Any, Any]", seed: int) -> Callable[[Any], int]:
    """Actions towards the goal; random turns and steps where none can be reached.

    Raises:
        ValueError: if the environment is none of minigrid.
    """
    world = environment.unwrapped
    if not hasattr(world, "grid") or not hasattr(world, "agent_pos"):
        raise ValueError("the purposeful policy is for environments of minigrid; others need a FILE.py")
    generator = np.random.default_rng((seed, 2))

    def act(observation: Any) -> int:
        planned = next_action(world)
        return int(generator.integers(FORWARD + 1)) if planned is None else planned

    return act


def next_action(world: Any) -> int | None:
    """The first action of a shortest way to the goal, or to what it takes; None if there is no way.

    Args:
        world: a `MiniGridEnv`.
    """
    carried = world.carrying
    planned = _first_action(world, lambda pose: _is(_front(world, pose), "goal"))
    if planned is not None:
        return planned
    if carried is None:
        return _first_action(world, lambda pose: _is(_front(world, pose), "key"), PICKUP)
    if carried.type != "key" or not _opens_some_door(world):
        front = world.grid.get(*world.front_pos)
        return DROP if front is None else LEFT
    return None


def _first_action(world: Any, is_there: Callable[[Pose], bool], then: int = FORWARD) -> int | None:
    """The first action of a shortest way to a pose; `then` if the agent stands so already."""
    column, row = map(int, world.agent_pos)
    start: Pose = (column, row, int(world.agent_dir))
    waiting, seen = deque([(start, -1)]), {start}
    while waiting:
        pose, first = waiting.popleft()
        if is_there(pose):
            return then if first < 0 else first
        for action, following in _moves(world, pose):
            if following not in seen:
                seen.add(following)
                waiting.append((following, action if first < 0 else first))
    return None


def _moves(world: Any, pose: Pose) -> list[tuple[int, Pose]]:
    column, row, direction = pose
    moves = [(LEFT, (column, row, (direction - 1) % 4)), (RIGHT, (column, row, (direction + 1) % 4))]
    cell, ahead = _front(world, pose), (column + _STEPS[direction][0], row + _STEPS[direction][1], direction)
    if not (0 <= ahead[0] < world.grid.width and 0 <= ahead[1] < world.grid.height):
        return moves
    if cell is None or cell.type in _PASSABLE or (cell.type == "door" and cell.is_open):
        moves.append((FORWARD, ahead))
    elif cell.type == "door" and (not cell.is_locked or _fits(world.carrying, cell)):
        moves.append((TOGGLE, ahead))  # then forward, which the next plan says
    return moves


def _front(world: Any, pose: Pose) -> Any:
    column, row = pose[0] + _STEPS[pose[2]][0], pose[1] + _STEPS[pose[2]][1]
    inside = 0 <= column < world.grid.width and 0 <= row < world.grid.height
    return world.grid.get(column, row) if inside else None


def _is(cell: Any, kind: str) -> bool:
    return cell is not None and cell.type == kind


def _fits(carried: Any, door: Any) -> bool:
    return carried is not None and carried.type == "key" and carried.color == door.color


def _opens_some_door(world: Any) -> bool:
    cells = (cell for cell in world.grid.grid if cell is not None)
    return any(cell.type == "door" and cell.is_locked and _fits(world.carrying, cell) for cell in cells)
