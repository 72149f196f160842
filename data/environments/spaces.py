"""Action spaces of gymnasium as `ActionSpace`, and back.

gymnasium is imported in functions only: it is part of an extra.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.typed_fields import shown
from .action_space import ActionDimension, ActionSpace
from .record_settings import DEFAULT_BINS

if TYPE_CHECKING:
    from gymnasium import Space

_MOST_AXES = 64


def dimensions_of(
    space: "Space[Any]", names: tuple[str, ...] = (), bins: int = DEFAULT_BINS
) -> tuple[ActionDimension, ...]:
    """The dimensions of a gymnasium space: Discrete, MultiDiscrete, MultiBinary, or a Box of one axis.

    Args:
        names: of the choices of a Discrete space, if they are known.
        bins: of each continuous dimension.

    Raises:
        ValueError: if the space is of another kind or not bounded.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete):
        known = names if len(names) == int(space.n) else ()
        return (ActionDimension("action", choices=int(space.n), names=known),)
    axes = space.shape[0] if space.shape is not None and len(space.shape) == 1 else 0
    if isinstance(space, spaces.MultiDiscrete) and 1 <= axes <= _MOST_AXES:
        return tuple(_choices(axis, count) for axis, count in enumerate(space.nvec))
    if isinstance(space, spaces.MultiBinary) and 1 <= axes <= _MOST_AXES:
        return tuple(_choices(axis, 2) for axis in range(axes))
    if isinstance(space, spaces.Box) and 1 <= axes <= _MOST_AXES and space.is_bounded():
        bounds = enumerate(zip(space.low, space.high, strict=True))
        if np.issubdtype(space.dtype, np.floating):
            return tuple(
                ActionDimension(f"action {axis}", low=float(low), high=float(high), bins=bins)
                for axis, (low, high) in bounds
            )
    raise ValueError(
        f"the action space is {shown(str(space))}; expected Discrete, MultiDiscrete, MultiBinary, or a Box "
        f"of one axis with bounds, of at most {_MOST_AXES} dimensions"
    )


def values_of(space: "Space[Any]", action: Any) -> int | float | list[int] | list[float]:
    """An action of a gymnasium space as `ActionSpace.encode` takes it, in plain numbers.

    Raises:
        ValueError: if the action is none of the space.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete):
        is_whole = np.ndim(action) == 0 and np.issubdtype(np.asarray(action).dtype, np.integer)
        if not is_whole or not space.contains(int(action)):
            raise ValueError(f"the action {shown(action)} is none of {space}")
        return int(action) - int(space.start)
    array = np.asarray(action)
    starts = space.start if isinstance(space, spaces.MultiDiscrete) else 0
    if isinstance(space, spaces.Box):
        array = array.astype(space.dtype)
    if not space.contains(array.astype(space.dtype)):
        raise ValueError(f"the action {shown(action)} is none of {space}")
    if isinstance(space, spaces.Box):
        return [float(str(each)) for each in array]  # the shortest number that is this one in its precision
    return [int(each) for each in array - starts]


def action_of(space: "Space[Any]", values: Any) -> Any:
    """The inverse of `values_of`: an action that the environment takes.

    Args:
        values: one for each dimension, such as a row of `ActionSpace.decode`.
    """
    from gymnasium import spaces

    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if isinstance(space, spaces.Discrete):
        return int(array[0]) + int(space.start)
    if isinstance(space, spaces.Box):
        return array.astype(space.dtype).clip(space.low, space.high)  # a rounding to 32 bits may be outside
    starts = space.start if isinstance(space, spaces.MultiDiscrete) else 0
    return (array.astype(np.int64) + starts).astype(space.dtype)


def gymnasium_space(actions: ActionSpace) -> "Space[Any]":
    """The gymnasium space of an `ActionSpace`: Discrete, MultiDiscrete, or a Box.

    Raises:
        ValueError: if some dimensions are discrete and others continuous: gymnasium has no such flat space.
    """
    from gymnasium import spaces

    kinds = {each.is_discrete for each in actions.dimensions}
    if len(kinds) > 1:
        raise ValueError("some dimensions of the actions are discrete and some continuous; expected one kind")
    if True not in kinds:
        low = np.array([each.low for each in actions.dimensions], np.float32)
        high = np.array([each.high for each in actions.dimensions], np.float32)
        return spaces.Box(low, high, dtype=np.float32)
    if len(actions) == 1:
        return spaces.Discrete(actions.dimensions[0].choices)
    return spaces.MultiDiscrete([each.choices for each in actions.dimensions])


def _choices(axis: int, count: Any) -> ActionDimension:
    return ActionDimension(f"action {axis}", choices=int(count))
