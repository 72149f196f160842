"""Keys of a clip with actions, in any list of clips: checked and in plain lists, or refused by their line.

    {"path": "a.mp4", "actions": [2, 2, 0], "rewards": [0, 0, 1], "terminated": true}
    {"path": "b.mp4", "actions": [[0.1, -1], [0.2, -1]], "action_rate": 10}

    actions        one for each frame but the last; or for each frame, of which the last one leads nowhere
    rewards        as many; zero if there are none
    terminated     true if the last action ended it, or a list with as many as actions; false if not given
    action_rate    per second, if the list says it line by line; it must be that of actions.json

What the numbers mean says actions.json (data/environments/action_space.py). A column of these names that
holds no list, such as Charades' texts under "actions", is a key like any other.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any

from ..environments.action_space import ACTIONS
from ..runtime.typed_fields import shown
from .columns import listed

REWARDS, TERMINATED, RATE = "rewards", "terminated", "action_rate"
_MOST = 2**63  # of whole numbers
EPISODE_KEYS = (ACTIONS, REWARDS, TERMINATED, RATE)


def checked_episode(values: dict[str, Any]) -> dict[str, Any]:
    """The keys of a clip, those of an episode in lists.

    Raises:
        ValueError: if they do not fit each other, or hold what is no number.
    """
    actions = listed(values.get(ACTIONS))
    if not isinstance(actions, list):
        return values
    found = {ACTIONS: actions}
    sizes = {len(each) if isinstance(each, list) else None for each in actions}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(f"{ACTIONS} are {shown(actions)}; expected a list with as many values for each step")
    for step, action in enumerate(actions):
        for value in action if isinstance(action, list) else [action]:
            if not isinstance(value, str) and not _is_number(value):
                raise ValueError(f"action {step} has {shown(value)}; expected finite numbers, or names")
    if values.get(REWARDS) is not None:
        rewards = listed(values[REWARDS])
        found[REWARDS] = _one_a_step(REWARDS, rewards, len(actions), _is_number, "a finite number")
    ended = listed(values.get(TERMINATED))
    if ended is not None and not _is_truth(ended):
        found[TERMINATED] = _one_a_step(TERMINATED, ended, len(actions), _is_truth, "true or false")
    rate = values.get(RATE)
    if rate is not None and not (_is_number(rate) and rate > 0):
        raise ValueError(f"{RATE} is {shown(rate)}; expected actions per second")
    return values | found


def _one_a_step(
    name: str, value: Any, steps: int, is_one: Callable[[Any], bool], words: str
) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name} are {shown(value)}; expected a list, one for each action")
    if len(value) != steps:
        raise ValueError(f"there are {steps} actions and {len(value)} {name}")
    wrong = next((step for step, each in enumerate(value) if not is_one(each)), None)
    if wrong is not None:
        raise ValueError(f"{name} {wrong} is {shown(value[wrong])}; expected {words}")
    return value


def _is_number(value: Any) -> bool:
    return (isinstance(value, int) and abs(value) < _MOST) or (isinstance(value, float) and isfinite(value))


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1))
