"""The example of a planner runs, and its returns are those of the policy that it is given."""

import runpy
from pathlib import Path

import torch
from tiny_world import world_episode, world_model

from videolm.generation.world.context import Context
from videolm.generation.world.episodes import Episodes
from videolm.generation.world.planner import RandomShooting, ShootingSettings
from videolm.generation.world.worlds import Worlds

SCRIPT = Path(__file__).parents[3] / "examples" / "world" / "shooting.py"


def test_the_example_adds_up_what_a_policy_brings():
    example = runpy.run_path(str(SCRIPT))
    model = world_model(1)
    head, codes = model.lm.heads["outcome"], torch.zeros(6)
    codes[4] = 1e9  # rewarded, and no end
    plain = head.logits
    head.logits = lambda *arguments: plain(*arguments) + codes
    worlds = Worlds(model)
    episodes = Episodes(worlds, max_steps=5)
    starts = [Context.of_episode(world_episode(model.clips, 9, seed).codes, 0, 1) for seed in range(2)]
    planner = RandomShooting(model, ShootingSettings(candidates=3, horizon=2))
    begun = []
    found = example["returns_of"](episodes, starts, planner, lambda: begun.append(planner.reset()))
    assert found == [5.0, 5.0] and len(begun) == 2
