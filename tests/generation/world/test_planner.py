"""Random shooting against a world whose outcomes are known: a model that is never wrong."""

import pytest
import torch
from tiny_world import outcomes_of, world_episode, world_model

from videolm.generation.world import planner as module
from videolm.generation.world.context import Context
from videolm.generation.world.planner import RandomShooting, ShootingSettings
from videolm.generation.world.rollout import Latents


class PerfectRollout:
    """Outcomes of the tiny world, from its first step on."""

    def __init__(self, model, starts, generators, settings=None):
        self.actions = torch.stack([start.actions for start in starts])

    def advance(self, actions):
        self.actions = torch.cat([self.actions, actions], 2)
        outcomes = torch.stack([outcomes_of(own[0]) for own in self.actions])
        return Latents(torch.zeros(len(actions), 1, 2, dtype=torch.int64), outcomes[:, -actions.shape[2] :])


@pytest.fixture
def context(monkeypatch):
    monkeypatch.setattr(module, "Rollout", PerfectRollout)
    return Context.of_episode(world_episode(world_model(1).clips, 9, 0).codes, 0, 1)


def test_the_plan_is_the_one_with_the_most_reward_before_the_end(context):
    planner = RandomShooting(world_model(1), ShootingSettings(candidates=200, horizon=6, discount=1.0))
    plans = planner._candidates()
    expected = [(plan[0, :4] == 2).sum() for plan in plans]  # the fourth step ends the episode
    assert planner.returns(context, plans).tolist() == expected
    assert planner(context).tolist() == [[2]]
    assert planner._left.shape == (1, 5) and (planner._left[0, :3] == 2).all()


def test_what_is_left_of_a_plan_is_tried_again_and_forgotten_with_the_episode(context):
    planner = RandomShooting(world_model(1), ShootingSettings(candidates=200, horizon=4, discount=1.0))
    planner(context)
    assert torch.equal(planner._candidates()[0, :, :3], planner._left)
    planner.reset()
    assert planner._left is None


def test_actions_may_be_held_and_come_as_many_as_a_latent_takes():
    planner = RandomShooting(world_model(4), ShootingSettings(candidates=5, horizon=3, hold=3))
    plans = planner._candidates()
    assert plans.shape == (5, 1, 12)
    assert torch.equal(plans[..., 0::3], plans[..., 1::3]) and torch.equal(plans[..., 0::3], plans[..., 2::3])


def test_the_same_seed_makes_the_same_plan_in_a_real_model():
    model = world_model(1)
    start = Context.of_episode(world_episode(model.clips, 9, 0).codes, 0, 2)
    settings = ShootingSettings(candidates=4, horizon=7)
    one, other = (RandomShooting(model, settings, seed=3) for _ in range(2))
    assert torch.equal(one(start), other(start)) and torch.equal(one._left, other._left)


def test_settings_out_of_their_range_are_refused():
    with pytest.raises(ValueError, match="discount is 2"):
        ShootingSettings(discount=2.0)
    with pytest.raises(ValueError, match="candidates"):
        ShootingSettings(candidates=0)
