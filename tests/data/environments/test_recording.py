"""Episodes of environments as clips with actions."""

import json
import sys

import numpy as np
import pytest
import torch
from action_shower import ENTRY, LENGTH

from videolm import read_clip
from videolm.data.environments import episode_files as module
from videolm.data.environments.action_space import ActionSpace
from videolm.data.environments.policies import policies_named
from videolm.data.environments.real_environment import open_environment
from videolm.data.environments.record_settings import Recording, View
from videolm.data.environments.recording import play_episode, record
from videolm.data.sources.manifest import read_manifest

EMPTY = "minigrid:MiniGrid-Empty-Random-5x5-v0"
DOOR_KEY = "minigrid:MiniGrid-DoorKey-5x5-v0"


def lines(folder):
    return [json.loads(line) for line in (folder / "captions.jsonl").read_text().splitlines()]


def test_frame_k_is_the_picture_after_action_k_minus_one(tmp_path):
    record(Recording(ENTRY, episodes=3), tmp_path)
    for line in lines(tmp_path):
        frames = read_clip(tmp_path / line["path"]).frames
        assert len(frames) == LENGTH + 1 == len(line["actions"]) + 1 == len(line["rewards"]) + 1
        assert frames[:, 0, 0, 0].tolist() == [0] + [60 * (action + 1) for action in line["actions"]]
        assert line["rewards"] == [float(action == 3) for action in line["actions"]]
        assert line["terminated"] and not line["truncated"]


def test_a_recording_is_a_source_of_clips_that_knows_its_actions(tmp_path):
    record(Recording(EMPTY, "random,purposeful", episodes=4, seed=5, steps=20), tmp_path)
    space = ActionSpace.from_json(json.loads((tmp_path / "actions.json").read_text()))
    assert space.dimensions[0].names[:3] == ("left", "right", "forward")
    assert [entry.extra["policy"] for entry in read_manifest(tmp_path)] == ["random", "purposeful"] * 2
    assert [line["seed"] for line in lines(tmp_path)] == [5, 6, 7, 8]
    assert all(space.encode(line["actions"]).shape == (1, len(line["rewards"])) for line in lines(tmp_path))
    assert read_clip(tmp_path / "episode-000000.mkv").frames.shape[1:] == (40, 40, 3)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("where", ["_line", "write_media"])
def test_a_killed_recording_goes_on_to_the_same_episodes(tmp_path, monkeypatch, where):
    wanted = Recording(EMPTY, episodes=4, steps=6)
    record(wanted, tmp_path / "whole")
    plain, calls = getattr(module, where), []

    def killing(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise Killed
        return plain(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, where, killing)
        with pytest.raises(Killed):
            record(wanted, tmp_path / "killed")
    with (tmp_path / "killed/captions.jsonl.part").open("a") as file:
        file.write('{"path": "epis')  # what a kill leaves of a line
    record(wanted, tmp_path / "killed")
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "killed").iterdir())
    contents = [[(tmp_path / each / name).read_bytes() for name in names] for each in ("whole", "killed")]
    assert contents[0] == contents[1]


def test_more_episodes_are_added_and_other_settings_refused(tmp_path):
    record(Recording(EMPTY, episodes=1, steps=4), tmp_path)
    before = (tmp_path / "episode-000000.mkv").stat().st_mtime_ns
    record(Recording(EMPTY, episodes=2, steps=4), tmp_path)
    assert len(lines(tmp_path)) == 2
    assert (tmp_path / "episode-000000.mkv").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="holds episodes made with steps 4, now 5"):
        record(Recording(EMPTY, episodes=2, steps=5), tmp_path)


def test_a_folder_is_not_claimed_by_a_policy_that_fails(tmp_path):
    (tmp_path / "p.py").write_text("def policy(environment, seed):\n    return lambda observation: 9\n")
    with pytest.raises(ValueError, match=r"the action 9 is none of Discrete\(7\)"):
        record(Recording(EMPTY, str(tmp_path / "p.py"), episodes=1), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("share", [0.0, pytest.param(0.3, marks=pytest.mark.long)])
def test_the_purposeful_policy_reaches_the_goal_past_a_locked_door(share):
    with open_environment(DOOR_KEY) as environment:
        policy = policies_named("purposeful")["purposeful"]
        episodes = [play_episode(environment, policy, seed, 200, share) for seed in range(10)]
    assert all(episode.terminated and episode.rewards[-1] > 0 for episode in episodes)
    assert max(len(episode.actions) for episode in episodes) < (30 if not share else 200)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1", "has no function policy"),
        ("raise KeyError(3)", "cannot be run: KeyError"),
        ("def policy(environment, seed): return 3", "returned 3; expected a function"),
    ],
)
def test_a_file_that_holds_no_policy_is_refused(tmp_path, code, words):
    path = tmp_path / "p.py"
    path.write_text(code)
    with pytest.raises(ValueError, match=words):
        record(Recording(EMPTY, str(path), episodes=1), tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MiniGrid-Empty-5x5-v0", "expected one of minigrid:ID"),
        ("minigrid:", "expected one of minigrid:ID"),
        ("minigrid:MiniGrid-Nope-v0", "cannot be opened: Environment `MiniGrid-Nope` doesn't exist"),
        ("gymnasium:no_such_module:X-v0", "No module named 'no_such_module'"),
        ("minigrid:CartPole-v1", "no environment of minigrid"),
    ],
)
def test_what_is_no_environment_is_refused_in_one_line(name, words):
    with pytest.raises(ValueError, match=words) as error, open_environment(name) as environment:
        environment.reset(0)
    assert "\n" not in str(error.value)


def test_without_the_extra_the_message_names_it(monkeypatch):
    for module_name in ("gymnasium", "minigrid"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module_name, None)
            with pytest.raises(ValueError, match=rf"{module_name}: pip install 'videolm\[world\]'"):
                open_environment(EMPTY)


@pytest.mark.long
def test_an_atari_game_is_recorded_with_its_sound(tmp_path):
    record(Recording("ale:Pong-v5", episodes=1, steps=40, view=View(height=96, width=80)), tmp_path)
    clip = read_clip(tmp_path / "episode-000000.mkv")
    assert (clip.frames.shape, clip.fps, clip.sample_rate) == ((41, 96, 80, 3), 15.0, 30720)
    assert clip.waveform is not None and clip.waveform.shape == (1, 41 * 2048)
    assert clip.waveform[:, :2048].abs().max() == 0 and clip.waveform.std() > 0.01
    space = ActionSpace.from_json(json.loads((tmp_path / "actions.json").read_text()))
    assert space.dimensions[0].names == ("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")


@pytest.mark.long
def test_a_race_is_recorded_with_continuous_actions(tmp_path):
    wanted = Recording("gymnasium:CarRacing-v3", episodes=1, steps=8, view=View(height=64, width=64, bins=5))
    record(wanted, tmp_path)
    space = ActionSpace.from_json(json.loads((tmp_path / "actions.json").read_text()))
    ranges = [(each.low, each.high, each.bins) for each in space.dimensions]
    assert ranges == [(-1, 1, 5), (0, 1, 5), (0, 1, 5)]
    assert space.encode(lines(tmp_path)[0]["actions"]).shape == (3, 8)
    assert torch.is_tensor(read_clip(tmp_path / "episode-000000.mkv").frames)
    assert np.isfinite(lines(tmp_path)[0]["rewards"]).all()
