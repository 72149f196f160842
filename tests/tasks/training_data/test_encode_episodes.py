"""`videolm encode` of clips with actions: episodes of any length, coded whole."""

import json
from dataclasses import replace

import pytest
import torch
from action_shower import ENTRY

from videolm.cli import main as cli
from videolm.data.codes.shards import ShardReader
from videolm.data.environments.record_settings import Recording
from videolm.data.environments.recording import record
from videolm.data.media.pixels import pixels_from_frames
from videolm.data.media.reading import read_clip
from videolm.tasks.training_data.coded_clips import clips_of_shards
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.protocol import load_video_tokenizer
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

SIZE = ["--height", "16", "--width", "16", "--num-frames", "5", "--num-workers", "0"]


def model_of(folder, temporal_stride):
    torch.manual_seed(0)
    config = VideoTokenizerConfig(
        bits=6, channels=4, multipliers=(1, 1), patch=4, spatial_strides=(1,),
        temporal_strides=(temporal_stride,), temporal_kernel=temporal_stride if temporal_stride > 1 else 3,
    )  # fmt: skip
    VideoTokenizer(config).save_pretrained(folder / "video_tokenizer")
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    record(Recording(ENTRY, episodes=3, steps=10, seed=1), folder)
    return folder


@pytest.mark.parametrize("stride", [1, 4])
def test_episodes_are_coded_whole_with_what_led_to_each_frame(tmp_path, clips, stride):
    model, out = model_of(tmp_path / "model", stride), tmp_path / "shards"
    words = ["encode", str(clips), "--model", str(model), "--out", str(out), *SIZE]
    assert cli.main(words) == 0
    reader = ShardReader(out)
    assert (reader.clips.fps, reader.clips.num_frames, len(reader)) == (8.0, 5, 3)
    lines = [json.loads(line) for line in (clips / "captions.jsonl").read_text().splitlines()]
    tokenizer = load_video_tokenizer(model)
    for number, line in enumerate(lines):
        coded, late = reader[number], 10 % stride
        assert coded.codes["actions"].tolist() == [line["actions"][late:]]
        assert coded.extra["seed"] == line["seed"] and "actions" not in coded.extra
        frames = read_clip(clips / line["path"]).frames[late:]
        with torch.no_grad():
            whole = tokenizer.encode(pixels_from_frames(frames[None]))[0]
        assert coded.codes["visual"].equal(whole)
        assert len(whole) == 1 + (10 - late) // stride
    before = (out / "shard-00000.safetensors").stat().st_mtime_ns
    assert cli.main(words) == 0  # goes on where nothing is left to do
    assert (out / "shard-00000.safetensors").stat().st_mtime_ns == before
    coded, encoder = clips_of_shards(str(out), model)
    assert coded.formats == (encoder.clips,) and encoder.actions == reader.clips.action_space


def test_the_actions_can_be_left_out(tmp_path, clips):
    model, out = model_of(tmp_path / "model", 4), tmp_path / "shards"
    words = ["encode", str(clips), "--model", str(model), "--out", str(out), "--actions", "none", *SIZE]
    assert cli.main([*words, "--fps", "8"]) == 0
    assert not ShardReader(out).clips.actions
    assert len(ShardReader(out)) == 6  # windows of 5 of 11 frames


def test_shards_go_on_with_the_same_meaning_of_actions_only(tmp_path, clips, capsys):
    model, out = model_of(tmp_path / "model", 4), tmp_path / "shards"
    words = ["encode", str(clips), "--model", str(model), "--out", str(out), *SIZE]
    assert cli.main(words) == 0
    space = ShardReader(out).clips.action_space
    other = replace(space, dimensions=(replace(space.dimensions[0], choices=5),))
    (tmp_path / "other.json").write_text(json.dumps(other.to_json()))
    assert cli.main([*words, "--actions", str(tmp_path / "other.json")]) == 2
    assert "actions.dimensions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fps", "10"], "fps is 10; the clips have 8 actions"),
        (["--buckets", "5x16x16,1x16x16"], "coded in one size"),
        (["--tasks", "inpainting"], "coded in one size"),
        (["--actions", "nowhere.json"], "no file nowhere.json"),
    ],
)
def test_what_does_not_go_with_actions_is_said_in_a_line(tmp_path, clips, capsys, words, said):
    out = ["--model", str(tmp_path), "--out", str(tmp_path / "shards")]
    assert cli.main(["encode", str(clips), *out, *SIZE, *words]) == 2
    assert said in capsys.readouterr().err
