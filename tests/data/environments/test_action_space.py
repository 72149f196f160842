"""Actions and outcomes as codes, and the description that is stored of them."""

import json

import numpy as np
import pytest
import torch

from videolm.data.environments.action_space import ActionDimension, ActionSpace

MOVE = ActionDimension("move", choices=3, names=("left", "right", "forward"))
STEERING = ActionDimension("steering", low=-1, high=1, bins=21)
BOTH = ActionSpace((MOVE, STEERING), rate=10)


def test_codes_and_values_are_inverses():
    codes = BOTH.sample(200, torch.Generator().manual_seed(0))
    assert codes.shape == (2, 200)
    assert len(set(codes[0].tolist())) == 3 and len(set(codes[1].tolist())) == 21
    assert BOTH.encode(BOTH.decode(codes)).equal(codes)


def test_a_value_is_at_most_half_a_bin_from_its_codes_value():
    values = np.linspace(-1, 1, 401)
    space = ActionSpace((STEERING,), rate=10)
    again = space.decode(space.encode(values))[:, 0].numpy()
    assert np.abs(again - values).max() <= 1 / 21 + 1e-12


def test_both_ends_of_a_range_are_inside():
    assert [STEERING.code(value) for value in (-1, 1)] == [0, 20]


@pytest.mark.parametrize(
    "actions", [[2, 0], [[2], [0]], ["forward", "left"], np.array([2, 0]), torch.tensor([[2.0], [0]])]
)
def test_one_dimension_is_given_as_numbers_names_or_lists(actions):
    assert ActionSpace((MOVE,), rate=10).encode(actions).tolist() == [[2, 0]]


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ([[0, 0], [3, 0]], "action 1: move is 3; expected a whole number from 0 to 2"),
        ([[0.5, 0]], "action 0: move is 0.5"),
        ([["up", 0]], "action 0: move is 'up'; its names are left, right, forward"),
        ([[0, 1.01]], "action 0: steering is 1.01; expected -1 to 1"),
        ([[0, float("nan")]], "action 0: steering is nan; expected a finite number"),
        ([[0, None]], "action 0: steering is None"),
        ([[10**400, 0]], "action 0: move is 1000"),
        ([0, 1], "action 0: it has 1 values; expected 2"),
        ("forward", "expected a list"),
    ],
)
def test_an_action_of_another_kind_is_refused_by_its_step(actions, words):
    with pytest.raises(ValueError, match=words):
        BOTH.encode(actions)


def test_outcomes_tell_bins_of_rewards_and_ends_apart():
    outcomes = [(-3.0, False), (0.0, False), (0.2, True), (0.0, True)]
    codes = BOTH.encode_outcomes(*zip(*outcomes, strict=True))
    assert codes.tolist() == [0, 2, 5, 3] == [BOTH.outcome_code(*each) for each in outcomes]
    rewards, terminated = BOTH.decode_outcomes(codes)
    assert rewards.tolist() == [-1, 0, 1, 0] and terminated.tolist() == [False, False, True, True]
    assert [BOTH.outcome_of(code) for code in codes.tolist()] == [
        (-1, False), (0, False), (1, True), (0, True)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rewards", "ends", "words"),
    [([0, float("nan")], [0, 0], "reward 1 is nan"), ([0], [0, 1], "1 rewards and 2")],
)
def test_outcomes_that_do_not_fit_are_refused(rewards, ends, words):
    with pytest.raises(ValueError, match=words):
        BOTH.encode_outcomes(rewards, ends)


def test_blocks_are_those_of_a_vocabulary():
    assert BOTH.blocks == {"action_0": (3,), "action_1": (21,), "outcome": (6,)}


def test_a_space_is_stored_as_json():
    assert ActionSpace.from_json(json.loads(json.dumps(BOTH.to_json()))) == BOTH


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 0}, {"rate": "10"}, {"rate": float("inf")}, {"more": 1}, {"dimensions": []},
        {"dimensions": 3}, {"dimensions": [3]}, {"dimensions": [{"name": "a"}]},
        {"dimensions": [{"name": "a", "choices": 2**40}]},
        {"dimensions": [{"name": "a", "choices": 2, "bins": 2}]},
        {"dimensions": [{"name": "a", "low": 1, "high": 1, "bins": 2}]},
        {"dimensions": [{"name": "a", "low": -1e308, "high": 1e308, "bins": 2}]},
        {"dimensions": [{"name": "a", "choices": 2, "names": ["x"]}]},
        {"dimensions": [{"name": "a", "choices": 2, "names": ["x", "x"]}]},
        {"dimensions": [{"name": "a", "choices": 2}] * 2}, {"reward_bins": [1, 0]}, {"reward_bins": [0]},
        {"reward_values": [0, 0, 0]},
    ],
)  # fmt: skip
def test_foreign_descriptions_are_refused_in_one_line(change):
    with pytest.raises(ValueError) as error:
        ActionSpace.from_json(BOTH.to_json() | change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("values", [None, 3, [], {}, "x"])
def test_no_description_at_all_is_refused(values):
    with pytest.raises(ValueError, match="action space"):
        ActionSpace.from_json(values)


def test_differences_are_said_in_words():
    other = ActionSpace((MOVE,), rate=20)
    assert BOTH.differences(BOTH) == ""
    assert BOTH.differences(other) == "action_1 steering of 21 bins from -1 to 1 and missing, rate 10 and 20"
