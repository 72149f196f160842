"""Action spaces of gymnasium as our own, and back."""

import numpy as np
import pytest
from gymnasium import spaces

from videolm.data.environments.action_space import ActionDimension, ActionSpace
from videolm.data.environments.spaces import action_of, dimensions_of, gymnasium_space, values_of

SPACES = [
    spaces.Discrete(5),
    spaces.Discrete(3, start=-1),
    spaces.MultiDiscrete([3, 4]),
    spaces.MultiBinary(4),
    spaces.Box(np.array([-1, 0], np.float32), np.array([1, 0.3], np.float32)),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_actions_become_values_and_codes_and_are_actions_again(space):
    ours = ActionSpace(dimensions_of(space, bins=5), rate=1)
    space.seed(0)
    for _ in range(20):
        action = space.sample()
        codes = ours.encode([values_of(space, action)])
        again = action_of(space, ours.decode(codes)[0])
        assert space.contains(again)
        if isinstance(space, spaces.Box):
            assert np.abs(again - action).max() <= 0.2 + 1e-6
            assert ours.encode([values_of(space, again)]).equal(codes)
        else:
            assert np.array_equal(again, action)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-np.inf, np.inf, (2,)),
        spaces.Box(0, 1, (2, 2)),
        spaces.Box(0, 9, (2,), np.int64),
        spaces.Text(3),
        spaces.Dict(a=spaces.Discrete(2)),
    ],
    ids=str,
)
def test_spaces_without_codes_are_refused(space):
    with pytest.raises(ValueError, match="the action space is"):
        dimensions_of(space)


@pytest.mark.parametrize(
    ("space", "action"),
    [(SPACES[0], 5), (SPACES[0], 1.0), (SPACES[0], None), (SPACES[2], [3, 0]), (SPACES[4], [2, 0])],
)
def test_what_is_no_action_is_refused(space, action):
    with pytest.raises(ValueError, match="none of"):
        values_of(space, action)


def test_our_space_as_one_of_gymnasium():
    move, turn = ActionDimension("move", choices=3), ActionDimension("turn", low=-1, high=1, bins=5)
    assert gymnasium_space(ActionSpace((move,), 1)) == spaces.Discrete(3)
    assert gymnasium_space(ActionSpace((turn,), 1)) == spaces.Box(-1, 1, (1,), np.float32)
    both = ActionSpace((move, ActionDimension("b", choices=2)), 1)
    assert gymnasium_space(both) == spaces.MultiDiscrete([3, 2])
    with pytest.raises(ValueError, match="expected one kind"):
        gymnasium_space(ActionSpace((move, turn), 1))
