"""Returns in the dream against real ones: the same where the dream is right, told apart where it is not."""

import pytest
import torch

from videolm import VideoLM
from videolm.data.environments.minigrid_policy import next_action
from videolm.data.environments.read_grid import ReadGrid
from videolm.data.environments.real_environment import open_environment
from videolm.data.runtime.model_source import model_folder
from videolm.evaluation.evaluate_world import table
from videolm.evaluation.protocols.world_returns import Pair, _agreement, run_returns
from videolm.generation.world.dream_episode import DreamEpisode

pytest.importorskip("minigrid")
ENV = "minigrid:MiniGrid-Empty-Random-6x6-v0"


@pytest.fixture(scope="module")
def minigrid():
    return VideoLM.from_pretrained(model_folder("minigrid"), "cpu", tasks=["world"])


def test_the_packaged_model_pays_what_the_environment_pays(minigrid):
    returns = run_returns(minigrid, ENV, "purposeful", 2, 4000000)
    own = returns["policies"]["purposeful"]
    assert own["real"] == own["dream"] == 1 and own["real_steps"] == own["dream_steps"]
    assert returns["same"] == 1 and returns["correlation"] is None
    report = {"steps": {}, "drift": {}, "rewards": {}, "ends": {}, "returns": returns}
    counts = {"precision": None, "recall": None, "true": 0}
    report |= {"rewards": counts, "ends": counts, "frames_a_cpu_second": 1.0}
    assert "the same in 1.00, correlation -" in table(report)


def test_a_dream_that_pays_otherwise_is_told_apart(minigrid, monkeypatch):
    monkeypatch.setattr(DreamEpisode, "total", property(lambda episode: 0.0))
    returns = run_returns(minigrid, ENV, "purposeful", 1, 4000000)
    assert returns["same"] == 0 and returns["policies"]["purposeful"]["dream"] == 0


def test_agreement_is_a_share_and_a_correlation():
    pairs = [Pair("random", real, dream, 1, 1) for real, dream in ((0, 0), (1, 1), (1, 0), (0, 0))]
    found = _agreement(pairs)
    assert found["same"] == 0.75 and found["correlation"] == pytest.approx(1 / 3**0.5)


@pytest.mark.parametrize("name", ["MiniGrid-DoorKey-5x5-v0", "MiniGrid-Empty-Random-6x6-v0"])
def test_a_grid_that_was_read_leads_to_the_same_actions_as_the_real_one(name):
    with open_environment(f"minigrid:{name}") as environment:
        for seed in range(3):
            shown = environment.reset(seed)
            world = ReadGrid(shown.picture)
            for _ in range(40):
                world.show(shown.picture)
                action = next_action(environment.env.unwrapped)
                assert next_action(world) == action
                shown = environment.step(action)
                if shown.terminated:
                    break
            assert shown.terminated


def test_a_picture_that_cannot_be_read_changes_nothing():
    with open_environment(ENV) as environment:
        world = ReadGrid(environment.reset(0).picture)
    before = (world.agent_pos, world.agent_dir)
    world.show(torch.full((48, 48, 3), 128, dtype=torch.uint8))
    assert (world.agent_pos, world.agent_dir) == before
    with pytest.raises(ValueError, match="no whole grid"):
        ReadGrid(torch.full((48, 48, 3), 128, dtype=torch.uint8))
