"""Play by its WebSocket: the dream on a player's actions, games that are kept and played again."""

import json

import pytest
import torch
from play_server import play_server, world
from tiny_world import LEVELS, SPACE, world_model

from videolm.app.play.world import world_of
from videolm.data.environments.action_space import ActionSpace
from videolm.data.environments.record_settings import View
from videolm.evaluation.protocols.world import recorded
from videolm.generation.world.context import Context
from videolm.generation.world.world_env import WorldEnv

ACTIONS = [[2], [0], [1], [2], [2], [0], [1], [0]]


def starts(model) -> list[Context]:
    """One for each level of the left square."""
    lengths = model.config.lengths
    return [Context.first(torch.full((1, lengths.h, lengths.w), level), 1) for level in range(LEVELS)]


@pytest.fixture(scope="module")
def dreamer():
    return world_model(temporal_stride=1)


@pytest.fixture
def server(dreamer, tmp_path):
    with play_server(world(dreamer, starts(dreamer)), tmp_path / "games") as started:
        yield started


def frames(told: list[dict], side: str = "dream") -> torch.Tensor:
    return torch.cat([each[side]["frames"] for each in told])


def test_a_player_is_told_all_that_a_page_needs(server):
    with server.player() as player:
        hello = player.hello
    assert hello["size"] == [8, 16] and hello["rate"] == SPACE.rate and hello["stride"] == 1
    assert [each["code"] for each in hello["controls"]] == [0, 1, 2]
    assert hello["environment"] is None and hello["saved"] == []


def test_the_dream_is_that_of_the_environment_for_agents(server, dreamer):
    with server.player() as player:
        told = player.play(5, ACTIONS)
    begun = told[0]["dream"]["frames"]
    env = WorldEnv(dreamer, starts(dreamer))
    number = next(
        number for number in range(LEVELS)
        if (env.reset(options={"start": starts(dreamer)[number]})[0] == begun[0].numpy()).all()
    )  # fmt: skip
    worlds = env.worlds
    worlds.begin([0], [starts(dreamer)[number]], [5])
    for action, step in zip(ACTIONS, told[1:], strict=False):
        (moment,) = worlds.act([0], torch.tensor(action)[None, :, None])
        if step["dream"]["end"] or not len(step["dream"]["frames"]):
            break
        assert torch.equal(moment.frames, step["dream"]["frames"])
        assert moment.reward == step["dream"]["reward"]


def test_seed_and_actions_decide_all(server):
    with server.player() as one, server.player() as other:
        first, again = one.play(3, ACTIONS[:4]), other.play(3, ACTIONS[:4])
        different = [other.ask("reset", seed=seed)["dream"]["frames"] for seed in range(12)]
    assert torch.equal(frames(first), frames(again))
    assert len({each.numpy().tobytes() for each in different}) > 1


def test_a_saved_game_is_a_recording_that_models_learn_from(server, dreamer):
    with server.player() as player:
        told = player.play(3, ACTIONS[:2])
        assert player.ask("save") == {"event": "saved", "name": "episode-000000"}
        assert player.hello["saved"] == []
    shown = frames(told)
    (episode,) = recorded(dreamer, str(server.out / "dream"), 10, 100)
    assert torch.equal(episode.frames, shown)
    assert episode.actions[0].tolist() == [action for (action,) in ACTIONS[: len(shown) - 1]]
    space = ActionSpace.from_json(json.loads((server.out / "dream/actions.json").read_text()))
    assert space == SPACE
    line = json.loads((server.out / "dream/captions.jsonl").read_text())
    assert line["seed"] == 3 and line["policy"] == "play" and line["environment"] == "dream of tiny"
    assert line["rewards"] == [each["dream"]["reward"] for each in told[1 : len(shown)]]


def test_a_saved_game_is_played_again(server):
    with server.player() as player:
        told = player.play(3, ACTIONS[:3])
        name = player.ask("save")["name"]
    with server.player() as later:
        assert later.hello["saved"] == [name]
        opened = later.ask("open", name=name)
        kept = len(frames(told)) - 1
        assert opened == {"event": "opened", "name": name, "seed": 3, "actions": ACTIONS[:kept]}
        assert torch.equal(frames(later.play(opened["seed"], opened["actions"])), frames(told))


def test_a_latent_of_four_frames_waits_for_four_actions(tmp_path):
    model = world_model(temporal_stride=4)
    with play_server(world(model, starts(model)), tmp_path) as server, server.player() as player:
        told = player.play(1, ACTIONS[:4])
        assert [each["dream"]["pending"] for each in told] == [0, 1, 2, 3, 0]
        assert [len(each["dream"]["frames"]) for each in told[:4]] == [1, 0, 0, 0]
        assert 1 <= len(told[4]["dream"]["frames"]) <= 4
        if not told[4]["dream"]["end"]:
            player.ask("act", action=[1])
        assert player.ask("save")["event"] == "saved"
    (episode,) = recorded(model, str(tmp_path / "dream"), 1, 100)
    assert torch.equal(episode.frames, frames(told)[: len(episode.frames)])


def test_time_is_up_after_so_many_steps(dreamer, tmp_path):
    short = world(dreamer, starts(dreamer), most_steps=2)
    with play_server(short, tmp_path) as server, server.player() as player:
        last = player.play(0, ACTIONS[:2])[-1]["dream"]
        assert last["end"] in ("truncated", "terminated")
        assert "no episode is going on" in player.ask("act", action=[0])["message"]


def test_more_games_than_are_kept_are_refused(dreamer, tmp_path):
    with play_server(world(dreamer, starts(dreamer)), tmp_path, keep=1) as server, server.player() as player:
        assert "nothing was done yet" in player.ask("save")["message"]
        player.play(0, ACTIONS[:1])
        assert player.ask("save")["event"] == "saved"
        assert "no more are" in player.ask("save")["message"]


def test_games_of_another_world_are_not_mixed_with_these(dreamer, tmp_path):
    played = world(dreamer, starts(dreamer))
    with play_server(played, tmp_path), pytest.raises(ValueError, match="holds games made with model tiny"):
        from videolm.app.play.saved_games import SavedGames

        SavedGames(tmp_path, played.space, played.sources, {"model": "other"}, 1)


def test_a_world_needs_one_beginning_and_the_task(dreamer, model_folder):
    from videolm import VideoLM

    with pytest.raises(ValueError, match="give one of them"):
        world_of(dreamer, "tiny", None, View(), None, 10)
    with pytest.raises(ValueError, match="world"):
        world_of(VideoLM.from_pretrained(model_folder), "tiny", "minigrid:X", View(), None, 10)
