"""A search in the dream alone finds the shortest way in the real environment."""

import pytest
import torch
from tiny_world import world_episode, world_model

from videolm import VideoLM
from videolm.data.environments.minigrid_policy import purposeful_policy
from videolm.data.environments.recording import play_episode
from videolm.data.runtime.model_source import model_folder
from videolm.generation.world.context import Context
from videolm.generation.world.real_beside import open_beside
from videolm.generation.world.search import PictureSearch, SearchSettings
from videolm.generation.world.starts import start_of

ENV = "minigrid:MiniGrid-Empty-Random-6x6-v0"


def test_a_way_found_in_the_dream_is_the_shortest_in_the_environment():
    pytest.importorskip("minigrid")
    model = VideoLM.from_pretrained(model_folder("minigrid"), "cpu", tasks=["world"])
    search = PictureSearch(model)
    with open_beside(model, ENV) as real:
        for seed in (5000000, 5000001):
            shortest = play_episode(real, purposeful_policy, seed, 50)
            plan = search(start_of(model, real.reset(seed).picture.numpy()))
            assert plan is not None and plan.shape == (1, len(shortest.actions))
            steps = [real.step(int(action)) for action in plan[0]]
            assert steps[-1].reward > 0 and not any(each.reward for each in steps[:-1])


def rewarded(model: VideoLM, code: int) -> VideoLM:
    """The model with this outcome after every action."""
    head, codes = model.lm.heads["outcome"], torch.zeros(6)
    codes[code] = 1e9
    plain = head.logits
    head.logits = lambda *arguments: plain(*arguments) + codes
    return model


def start(model: VideoLM) -> Context:
    return Context.of_episode(world_episode(model.clips, 3, 0).codes, 0, 1)


def test_the_first_reward_ends_a_search_and_without_one_there_is_no_plan():
    found = rewarded(world_model(1), 4)
    plan = PictureSearch(found)(start(found))
    assert plan is not None and plan.shape == (1, 1)
    for code in (2, 3, 0):  # nothing, an end, a loss
        never = rewarded(world_model(1), code)
        assert PictureSearch(never, SearchSettings(depth=3))(start(never)) is None


def test_more_actions_than_can_be_tried_are_refused():
    with pytest.raises(ValueError, match="81 actions lead to a latent; a search tries at most 64"):
        PictureSearch(world_model(4))
