"""Keys for the actions of any world: each choice has its own, and none means two things."""

import pytest

from videolm.app.play.controls import RESET, controls_of
from videolm.data.environments.action_space import ActionDimension, ActionSpace

MINIGRID = ("left", "right", "forward", "pickup", "drop", "toggle", "done")
ATARI = ("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHT", "UPLEFT", "UPRIGHTFIRE", "DOWNLEFTFIRE")


def keys(*dimensions: ActionDimension) -> dict[str, tuple[str, ...]]:
    return {each.label: each.keys for each in controls_of(ActionSpace(dimensions, 10)).controls}


def test_directions_are_arrows_and_other_names_letters_of_their_own():
    found = keys(ActionDimension("action", 7, MINIGRID))
    assert found == {
        "left": ("ArrowLeft",), "right": ("ArrowRight",), "forward": ("ArrowUp",), "pickup": ("p",),
        "drop": ("d",), "toggle": ("t",), "done": ("o",),
    }  # fmt: skip
    assert controls_of(ActionSpace((ActionDimension("action", 7, MINIGRID),), 10)).rest == (None,)


def test_names_of_several_directions_are_several_keys_together():
    space = ActionSpace((ActionDimension("action", len(ATARI), ATARI),), 15)
    found = keys(*space.dimensions)
    assert found["UPRIGHT"] == ("ArrowRight", "ArrowUp") and found["FIRE"] == (" ",)
    assert found["DOWNLEFTFIRE"] == (" ", "ArrowDown", "ArrowLeft")
    assert controls_of(space).rest == (0,)


def test_a_range_has_keys_for_its_ends_and_its_middle_and_rests_nearest_to_zero():
    steering = ActionDimension("steering", low=-1, high=1, bins=11)
    gas, brake = (ActionDimension(name, low=0, high=1, bins=5) for name in ("gas", "brake"))
    controls = controls_of(ActionSpace((steering, gas, brake), 25))
    assert controls.rest == (5, 0, 0)
    codes = {each.keys: (each.dimension, each.code) for each in controls.controls}
    assert codes["ArrowLeft",] == (0, 0) and codes["ArrowRight",] == (0, 10) and codes["s",] == (0, 5)
    assert codes["ArrowUp",] == (1, 4) and codes["ArrowDown",] == (2, 4)
    assert sorted(code for dimension, code in codes.values() if dimension == 1) == [0, 2, 4]


@pytest.mark.parametrize(
    "dimensions",
    [
        tuple(ActionDimension(name, 4, ("left", "right", "up", "down")) for name in ("move", "look")),
        (ActionDimension("many", 60),),
        (ActionDimension("huge", 60000),),
        tuple(ActionDimension(f"axis {n}", low=-1, high=1, bins=3) for n in range(8)),
        (ActionDimension("r", 3, ("r", "reset", "rest")), ActionDimension("tiny", low=0, high=1, bins=1)),
    ],
)
def test_no_keys_mean_two_things(dimensions):
    controls = controls_of(ActionSpace(dimensions, 10))
    sets = [each.keys for each in controls.controls if each.keys]
    assert sets and len(set(sets)) == len(sets) and (RESET,) not in sets
    owners = {}
    for each in controls.controls:
        assert all(owners.setdefault(key, each.dimension) == each.dimension for key in each.keys)
        assert 0 <= each.code < dimensions[each.dimension].num_codes
    assert len(controls.controls) <= 128
