"""Clips with actions as episodes: what leads where, parts, and what does not fit."""

import json
from dataclasses import replace

import pytest
import torch

from videolm.data.codes.clip_format import ClipFormat
from videolm.data.environments.action_space import ActionDimension, ActionSpace
from videolm.data.loading.clip_sources import open_source
from videolm.data.loading.episode_source import EpisodeSource, action_space_of
from videolm.data.loading.reader_pool import read_entries
from videolm.data.media.clip import Clip, write_clip

MOVE = ActionDimension("move", choices=4, names=("left", "right", "up", "down"))
SPACE = ActionSpace((MOVE,), rate=8)
STRIDE_1 = ClipFormat(
    height=16, width=16, num_frames=5, fps=8.0, grid=(5, 2, 2), temporal_stride=1, factors=(8,),
    video_tokenizer="v1", actions=SPACE.to_json(),
)  # fmt: skip
STRIDE_4 = replace(STRIDE_1, grid=(2, 2, 2), temporal_stride=4)


def film(path, actions):
    """Each frame as bright as the action that led to it says; the first black."""
    levels = torch.tensor([0] + [60 * (action + 1) for action in actions], dtype=torch.uint8)
    write_clip(Clip(levels[:, None, None, None].expand(-1, 16, 16, 3).contiguous(), 8.0), path)


def source(folder, *lines, clips=STRIDE_1):
    (folder / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = open_source(clips, str(folder))
    assert isinstance(found, EpisodeSource)
    return found


def shown(clip):
    return [level // 60 - 1 for level in clip.frames[:, 0, 0, 0].tolist()]


ACTIONS = [3, 0, 2, 1, 1, 0, 3, 2, 0, 3]


@pytest.fixture
def folder(tmp_path):
    film(tmp_path / "a.mkv", ACTIONS)
    return tmp_path


@pytest.mark.parametrize("clips", [STRIDE_1, STRIDE_4])
def test_every_frame_after_the_first_shows_the_action_before_it(folder, clips):
    rewards = [0.0] * 9 + [1.0]
    line = {"path": "a.mkv", "actions": ACTIONS, "rewards": rewards, "terminated": True, "seed": 3}
    reading = source(folder, line, clips=clips)[0]
    assert not reading.problem
    late = 10 % clips.temporal_stride
    assert shown(reading.clips[0])[1:] == reading.codes["actions"][0].tolist() == ACTIONS[late:]
    assert reading.codes["outcome"].tolist() == [2] * (9 - late) + [5]  # the end is kept
    assert reading.extra == {"seed": 3}


@pytest.mark.parametrize(
    "change",
    [{"actions": [*ACTIONS, 1]}, {"actions": [MOVE.names[each] for each in ACTIONS]}, {"action_rate": 8}],
)
def test_as_many_actions_as_frames_names_and_a_rate_are_understood(folder, change):
    plain = source(folder, {"path": "a.mkv", "actions": ACTIONS})[0]
    other = source(folder, {"path": "a.mkv", "actions": ACTIONS} | change)[0]
    assert not other.problem
    assert all(other.codes[name].equal(codes) for name, codes in plain.codes.items())


def test_parts_slice_the_actions(folder):
    line = {"path": "a.mkv", "actions": ACTIONS, "terminated": True}
    parts = source(folder, line | {"start": 0.25, "end": 0.875}, line | {"start": 0.5})
    middle, end = parts[0], parts[1]
    assert middle.codes["actions"].tolist() == [ACTIONS[2:6]]
    assert shown(middle.clips[0])[1:] == ACTIONS[2:6]
    assert middle.codes["outcome"].tolist() == [2] * 4  # it does not reach the end
    assert end.codes["actions"].tolist() == [ACTIONS[4:]]
    assert end.codes["outcome"].tolist() == [2] * 5 + [3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"actions": ACTIONS[:-1]}, "a.mkv: it has 11 frames and 9 actions; expected 10"),
        ({"actions": ACTIONS * 2}, "it has 11 frames and 20 actions"),
        ({"actions": [*ACTIONS[:-1], 4]}, "action 9: move is 4; expected a whole number from 0 to 3"),
        ({"actions": [*ACTIONS[:-1], "jump"]}, "action 9: move is 'jump'; its names are left, right, up"),
        ({"actions": [[0, 0]] * 10}, "action 0: it has 2 values; expected 1"),
        ({"actions": None}, "it has no actions"),
        ({"action_rate": 10}, "it has 10 actions per second; actions.json says 8"),
        ({"start": 0.3}, "start is 0.3 s, between two of 8 actions per second"),
        ({"start": 1.25}, "it has 1 frames"),
        ({"path": "b.mkv"}, "b.mkv"),
    ],
)
def test_what_does_not_fit_is_named_with_its_clip(folder, change, words):
    good = {"path": "a.mkv", "actions": ACTIONS}
    found = source(folder, good, good | change)
    reading = found[1]
    assert words in reading.problem and "\n" not in reading.problem
    assert not reading.clips and not found[0].problem


@pytest.mark.long
def test_readers_in_processes_give_the_same(folder):
    found = source(folder, {"path": "a.mkv", "actions": ACTIONS}, {"path": "none.mkv", "actions": ACTIONS})
    here, there = (list(read_entries(found, [0, 1], workers)) for workers in (0, 1))
    assert here[0].clips[0].frames.equal(there[0].clips[0].frames)
    assert all(there[0].codes[name].equal(codes) for name, codes in here[0].codes.items())
    assert here[1].problem == there[1].problem != ""


def test_an_episode_is_made_of_its_actions_too(folder):
    lines = [{"path": "a.mkv", "actions": actions} for actions in (ACTIONS, ACTIONS[::-1])]
    assert len({source(folder, line).made_of(0) for line in lines}) == 2


def test_a_source_without_any_actions_is_refused(folder):
    with pytest.raises(ValueError, match=r"no clip of .* has actions"):
        source(folder, {"path": "a.mkv"})


def test_what_actions_mean_is_found_beside_the_list(folder):
    assert action_space_of(str(folder)) is None
    (folder / "actions.json").write_text(json.dumps(SPACE.to_json()))
    (folder / "captions.jsonl").write_text("{}")
    assert action_space_of(str(folder)) == action_space_of(str(folder / "captions.jsonl")) == SPACE
    assert action_space_of(str(folder), "none") is None
    assert action_space_of("synthetic") is None
    with pytest.raises(FileNotFoundError, match=r"no file nowhere\.json"):
        action_space_of(str(folder), "nowhere.json")
    without = {name: value for name, value in SPACE.to_json().items() if name != "rate"}
    (folder / "actions.json").write_text(json.dumps(without))
    with pytest.raises(ValueError, match=r"actions\.json: the action space lacks rate"):
        action_space_of(str(folder))
