"""A tokenizer's folder says which clips it was trained on, and commands go by that."""

import json
import re
import warnings

import pytest
import torch

from videolm.cli.main import main
from videolm.data.codes.shards import ShardReader
from videolm.data.codes.trained_clips import USUAL_CLIPS, ClipSize, TrainedClips
from videolm.data.media.clip import Clip, write_clip
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

TRAINED = TrainedClips(height=24, width=32, num_frames=5, fps=10.0)


@pytest.fixture
def model(tmp_path):
    tokenizer = VideoTokenizer(
        VideoTokenizerConfig(bits=4, channels=4, multipliers=(1, 1), patch=8, spatial_strides=(1,),
                             temporal_strides=(4,), temporal_kernel=4)
    )  # fmt: skip
    before = tokenizer.fingerprint
    tokenizer.trained_clips = TRAINED
    assert tokenizer.fingerprint == before  # codes of the same weights are the same codes
    tokenizer.save_pretrained(tmp_path / "model" / "video_tokenizer")
    return tmp_path / "model"


@pytest.fixture
def clips(tmp_path):
    """A film of 2.3 s and one of 0.2 s."""
    (tmp_path / "clips").mkdir()
    for name, num_frames in (("long", 23), ("short", 2)):
        frames = torch.randint(256, (num_frames, 32, 32, 3), dtype=torch.uint8)
        write_clip(Clip(frames, 10.0), tmp_path / "clips" / f"{name}.mp4")
    return tmp_path / "clips"


def test_it_stays_with_the_tokenizer_when_that_is_loaded_and_saved(model, tmp_path):
    tokenizer = VideoTokenizer.from_pretrained(model / "video_tokenizer")
    tokenizer.save_pretrained(tmp_path / "copy")
    assert TrainedClips.load(tmp_path / "copy") == TRAINED


@pytest.mark.long
def test_encode_takes_size_and_all_windows_from_the_tokenizer_and_says_what_it_used(
    model, clips, tmp_path, capsys
):
    assert main(["encode", str(clips), "--model", str(model), "--out", str(tmp_path / "shards")]) == 0
    reader = ShardReader(tmp_path / "shards")
    found = (reader.clips.height, reader.clips.width, reader.clips.num_frames, reader.clips.fps)
    assert found == (24, 32, 5, 10.0) and len(reader) == 4
    text = capsys.readouterr().out
    # 2.0 of 2.5 s; 0.3 s of the long film and all of the short one are left.
    assert "4 windows of 1 files, 80 % of 2 s" in text
    assert "short.mp4: 2 frames at 10 fps; expected at least 5" in text


@pytest.mark.long
def test_windows_are_bounded_on_demand(model, clips, tmp_path, capsys):
    command = f"encode {clips} --model {model} --out {tmp_path / 'shards'} --windows 2"
    assert main(command.split()) == 0
    assert len(ShardReader(tmp_path / "shards")) == 2
    assert "2 windows of 1 files, 40 % of 2 s; at most 2 windows of a file" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.parametrize("command", ["encode", "tokenizer score"])
def test_another_size_is_warned_of_with_both(model, clips, tmp_path, command, capsys):
    options = f"{command} {clips} --model {model} --out {tmp_path / 'out'} --height 32 --fps 5"
    assert main([*options.split(), *(["--split", "all"] if "score" in command else [])]) == 0
    said = capsys.readouterr().err
    assert re.search("note: .*5 frames of 32x32 at 5 fps; .* on 5 frames of 24x32 at 10 fps", said)


def test_scores_are_of_the_tokenizers_size(model, clips, tmp_path, capsys):
    options = f"tokenizer score {clips} --model {model} --out {tmp_path / 'out'} --split all"
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="clips are")
        assert main(options.split()) == 0
    assert "1 clips of 5 frames of 24x32" in capsys.readouterr().out


def test_a_tokenizer_that_does_not_say_has_the_usual_size(model):
    for name in ("clips.json", "checksums.json"):  # as earlier versions wrote it
        (model / "video_tokenizer" / name).unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ClipSize().of(model / "video_tokenizer") == USUAL_CLIPS == TrainedClips(64, 64, 9, 8.0)
        assert ClipSize(height=128).of(model / "video_tokenizer") == TrainedClips(128, 64, 9, 8.0)


@pytest.mark.parametrize("change", [{"height": 0}, {"fps": None}, {"width": True}, {"num_frames": 2.5}])
def test_a_damaged_one_is_one_line(model, clips, tmp_path, capsys, change):
    path = model / "video_tokenizer" / "clips.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert main(["encode", str(clips), "--model", str(model), "--out", str(tmp_path / "shards")]) == 2
    assert "clips.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, said",
    [
        ("", "23 frames of 24x32 at 10 fps"),
        ("--tile 16", "23 frames of 32x32 at 10 fps"),
        ("--height 32 --fps 5", "12 frames of 32x32 at 5 fps"),
    ],
)
def test_a_film_is_reconstructed_in_the_tokenizers_size(model, clips, tmp_path, capsys, options, said):
    command = f"tokenizer reconstruct {clips / 'long.mp4'} {tmp_path / 'out.mp4'} --model {model} {options}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(command.split()) == 0
    assert said in capsys.readouterr().out


def test_of_a_tokenizer_that_does_not_say_a_film_keeps_its_size(model, clips, tmp_path, capsys):
    for name in ("clips.json", "checksums.json"):  # as earlier versions wrote it
        (model / "video_tokenizer" / name).unlink()
    command = f"tokenizer reconstruct {clips / 'long.mp4'} {tmp_path / 'out.mp4'} --model {model}"
    assert main(command.split()) == 0
    assert "23 frames of 32x32 at 10 fps" in capsys.readouterr().out
