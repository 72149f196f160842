"""Clips with actions, each of its own length, in shards."""

from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from videolm.data.codes.clip_format import ClipFormat
from videolm.data.codes.shards import CodedClip, ShardReader, ShardWriter
from videolm.data.environments.action_space import ActionDimension, ActionSpace

SPACE = ActionSpace((ActionDimension("move", choices=3), ActionDimension("turn", low=-1, high=1, bins=5)), 8)
CLIPS = ClipFormat(
    height=8, width=8, num_frames=5, fps=8.0, grid=(2, 1, 2), temporal_stride=4, factors=(8, 4),
    video_tokenizer="v1", codebook_sizes=(16, 16), audio_frames=3, sample_rate=160, hop_length=32,
    audio_tokenizer="a1", actions=SPACE.to_json(),
)  # fmt: skip
SOURCE = {"source": "here"}


def episode(number: int, latents: int) -> CodedClip:
    generator = torch.Generator().manual_seed(number)
    shapes = CLIPS.episode_shapes(latents)
    codes = {
        "visual": torch.randint(32, shapes["visual"], generator=generator),
        "actions": SPACE.sample(shapes["actions"][1], generator),
        "outcome": torch.randint(6, shapes["outcome"], generator=generator),
    }
    if number % 2:
        codes["audio"] = torch.randint(16, shapes["audio"], generator=generator)
    return CodedClip(codes, source=f"episode-{number}", extra={"seed": number})


EPISODES = [episode(number, latents) for number, latents in enumerate([2, 7, 3, 2, 30])]


def test_a_format_with_actions_is_stored_as_json():
    assert ClipFormat.from_json(CLIPS.to_json()) == CLIPS
    assert CLIPS.action_space == SPACE
    assert CLIPS.shapes == CLIPS.episode_shapes(2)
    assert CLIPS.episode_shapes(7)["actions"] == (2, 24)


def test_episodes_of_any_length_come_back_as_they_were_written(tmp_path):
    writer = ShardWriter(tmp_path, CLIPS, SOURCE)
    writer.write(0, EPISODES[:3])
    writer.write(1, EPISODES[3:])
    writer.finish()
    reader = ShardReader(tmp_path)
    assert reader.clips == CLIPS
    for number, written in enumerate(EPISODES):
        read = reader[number]
        assert read.codes.keys() == written.codes.keys()
        assert all(read.codes[name].equal(codes) for name, codes in written.codes.items())
        assert read.extra == written.extra


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"actions": EPISODES[1].codes["actions"][:, 1:]}, r"actions codes of episode-1 .* \(2, 23\)"),
        ({"actions": EPISODES[1].codes["actions"] + 3}, "codes of move lie in"),
        ({"outcome": EPISODES[1].codes["outcome"] + 6}, "codes of outcomes lie in"),
        ({"visual": EPISODES[1].codes["visual"][:1]}, "has 1 latents"),
        ({"more": torch.zeros(1)}, "more codes of episode-1"),
    ],
)
def test_codes_that_do_not_fit_each_other_are_not_written(tmp_path, change, words):
    wrong = replace(EPISODES[1], codes=EPISODES[1].codes | change)
    with pytest.raises(ValueError, match=words):
        ShardWriter(tmp_path, CLIPS, SOURCE).write(0, [wrong])


def test_a_shard_with_wrong_lengths_is_damaged(tmp_path):
    writer = ShardWriter(tmp_path, CLIPS, SOURCE)
    writer.write(0, EPISODES)
    path = tmp_path / "shard-00000.safetensors"
    tensors = load_file(path)
    for counts in (tensors["counts"] + 1, tensors["counts"][1:], tensors["counts"] * 0):
        save_file(tensors | {"counts": counts}, path)
        with pytest.raises(ValueError, match=r"shard-00000.safetensors is damaged: it has"):
            reader = ShardReader.__new__(ShardReader)  # past the checksums, which would refuse it first
            reader.clips = CLIPS
            reader._rows(safe_open(path, framework="pt").__enter__(), len(EPISODES), path)


def test_other_actions_are_a_difference_by_name():
    other = replace(CLIPS, actions=ActionSpace((SPACE.dimensions[0],), 8).to_json())
    assert CLIPS.differences(other) == "action_1 turn of 5 bins from -1 to 1 and missing"
    assert "actions none and {" in replace(CLIPS, actions={}).differences(CLIPS)


def test_a_folder_goes_on_with_the_same_actions_only(tmp_path):
    ShardWriter(tmp_path, CLIPS, SOURCE).write(0, EPISODES)
    other = replace(SPACE, reward_bins=(0.5,), reward_values=(0, 1))
    with pytest.raises(ValueError, match="actions"):
        ShardWriter(tmp_path, replace(CLIPS, actions=other.to_json()), SOURCE)


def test_frames_and_actions_have_one_rate():
    with pytest.raises(ValueError, match="10 frames and 8 actions per second"):
        replace(CLIPS, fps=10)
