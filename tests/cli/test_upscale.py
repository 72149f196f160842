"""`videolm upscale` and `generate --upscale`: films grow and keep their sound, mistakes end in one line."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_stage import add_stage, tiny_stage

from videolm.cli.main import main
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip
from videolm.lm.model.transformer import PrefixLM


@pytest.fixture(scope="module")
def folder(model, model_folder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stages") / "model"
    shutil.copytree(model_folder, folder)
    add_stage(folder, tiny_stage(model.video_tokenizer, model.video_tokenizer))
    return folder


@pytest.fixture
def film(clip, tmp_path) -> Path:
    """Longer than a stage's clips, with sound."""
    path = tmp_path / "in.mp4"
    long = Clip(clip.frames.repeat(2, 1, 1, 1)[:15], 8.0, clip.waveform.repeat(1, 2), clip.sample_rate)
    write_clip(long, path)
    return path


def test_a_film_grows_in_windows_and_keeps_its_sound_without_the_language_model(
    folder, film, tmp_path, monkeypatch
):
    monkeypatch.setattr(PrefixLM, "from_pretrained", None)
    out = [tmp_path / name for name in ("one.mp4", "two.mp4")]
    for path in out:
        assert main(["upscale", str(film), str(path), "--model", str(folder)]) == 0
    small, large = read_clip(film), read_clip(out[0])
    assert large.frames.shape == (15, 64, 64, 3) and large.fps == small.fps
    assert abs(large.waveform.shape[1] - small.waveform.shape[1]) < small.sample_rate / 8
    assert float(large.waveform.abs().max()) > 0
    assert out[0].read_bytes() == out[1].read_bytes()


def test_generated_clips_are_enlarged_on_request(folder, model, tmp_path):
    words = ["generate", "--model", str(folder), "--text", "a red square moves right", "--seed", "4"]
    out = tmp_path / "x.mp4"
    assert main([*words, "--out", str(out), "--upscale", "2"]) == 0
    made = read_clip(out)
    assert made.frames.shape == (9, 64, 64, 3)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--text", "a dog"], "the stage 9x64x64 was trained without text; leave the text out"),
        (["--factor", "4"], "clips of 32x32 cannot be made 4 times as large: the model has stages that make"),
    ],
)
def test_what_a_film_cannot_become_is_said_in_one_line(more, said, folder, film, tmp_path, capsys):
    assert main(["upscale", str(film), str(tmp_path / "x.mp4"), "--model", str(folder), *more]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0]


def test_films_of_other_sizes_and_models_without_stages_are_refused(
    folder, model_folder, film, clip, tmp_path, capsys
):
    small, out = tmp_path / "small.mp4", str(tmp_path / "x.mp4")
    write_clip(replace(clip.resized(24, 24), waveform=None, sample_rate=None), small)
    generate = ["generate", "--text", "a red square moves right", "--out", out, "--upscale", "2"]
    commands = {
        "clips of 24x24 cannot be made 2 times": ["upscale", str(small), out, "--model", str(folder)],
        "has no stages of super-resolution": ["upscale", str(film), out, "--model", str(model_folder)],
        "model has no stages of super-resolution": [*generate, "--model", str(model_folder)],
        "upscale is 3; expected 2 or 4": [*generate[:-1], "3", "--model", str(folder)],
    }
    for said, words in commands.items():
        assert main(words) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and said in lines[0]
