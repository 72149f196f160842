"""A run has a model at any time, and `videolm export` makes one of any of its checkpoints."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from videolm.cli.main import main
from videolm.data.codes.trained_clips import TrainedClips
from videolm.data.media.reading import read_clip
from videolm.generation.pipeline import VideoLM
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.tokenizers.text.sentencepiece_tokenizer import TextTokenizer

SIZES = "{dim: 16, layers: 1, heads: 2, kv_heads: 1, hidden: 32, rotary_dims: [4, 2, 2]}"
STEPS = ("--trainer.max_steps", "4", "--checkpoint-every", "1", "--export-every", "2")


def lm_command(coded: Path, out: Path, *more: str) -> list[str]:
    folders = ["--data.shards", str(coded / "shards"), "--data.model", str(coded / "model")]
    folders += ["--out", str(out)]
    few = ["--data.batch_size", "4", "--data.validation_share", "0.2", "--trainer.callbacks", "null"]
    tasks = ["--data.tasks", "{text_to_video: 1}", "--model.model", SIZES, "--model.ema_decay", "0.9"]
    kept = ["--keep-checkpoints", "2", "--model.share_bits", "false"]
    return ["lm", "fit", "--config", "debug", *few, *tasks, *folders, *STEPS, *kept, *more]


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def part_of(checkpoint: Path, prefix: str) -> dict[str, torch.Tensor]:
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    return {name.removeprefix(prefix): each for name, each in state.items() if name.startswith(prefix)}


@pytest.fixture(scope="module")
def killed(coded_run, tmp_path_factory) -> tuple[Path, Path]:
    """A run that is gone in the middle, with its data."""
    place = tmp_path_factory.mktemp("export")
    shutil.copytree(coded_run, place / "coded")
    return place / "run", place / "coded"


def test_a_killed_run_has_a_model_and_goes_on_with_its_own_text_tokenizer(
    killed, run_until_killed, monkeypatch, capsys
):
    run, coded = killed
    run_until_killed(lm_command(coded, run), LanguageModelTraining, step=3)
    assert {each.name for each in (run / "training/lm").glob("*.ckpt")} == {
        "last.ckpt", "step-000002.ckpt", "step-000003.ckpt",
    }  # fmt: skip
    average = part_of(run / "training/lm/step-000002.ckpt", "average.module.")
    assert same(weights_of(run / "model/lm"), average)
    clip = run / "clip.mp4"
    generate = ["generate", "--model", str(run / "model"), "--task", "text_to_video", "--text", "a square"]
    assert main([*generate, "--out", str(clip)]) == 0
    assert read_clip(clip).num_frames == VideoLM.from_pretrained(run / "model").config.clips.num_frames

    def anew(*arguments, **settings):
        raise AssertionError("the text tokenizer is made anew")

    monkeypatch.setattr(TextTokenizer, "train", anew)
    before = (run / "training/lm/text/vocabulary.json").read_bytes()
    assert main(lm_command(coded, run, "--data.text_vocab_size", "400")) == 2
    assert "--force-settings data.text_vocab_size" in capsys.readouterr().err
    assert main(lm_command(coded, run)) == 0
    assert (run / "training/lm/text/vocabulary.json").read_bytes() == before
    assert VideoLM.from_pretrained(run / "model").text_tokenizer is not None


def test_any_checkpoint_becomes_a_model_without_the_data(killed, tmp_path):
    """Of the average of the weights or of themselves; what else is in the folder stays."""
    run, coded = killed
    shutil.rmtree(coded / "shards")
    checkpoint = run / "training/lm/step-000003.ckpt"
    out = tmp_path / "model"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    export = ["export", str(run), "--checkpoint", str(checkpoint), "--out", str(out)]
    assert main(export) == 0
    assert same(weights_of(out / "lm"), part_of(checkpoint, "average.module."))
    assert main([*export, "--weights", "raw"]) == 0
    assert same(weights_of(out / "lm"), part_of(checkpoint, "model."))
    assert not same(weights_of(out / "lm"), part_of(checkpoint, "average.module."))
    assert (out / "notes.txt").read_text() == "mine"
    model, other = VideoLM.from_pretrained(out), VideoLM.from_pretrained(run / "model")
    assert model.config == other.config and model.vocabulary.blocks == other.vocabulary.blocks


def test_every_stage_of_a_run_is_exported(tmp_path):
    run = tmp_path / "run"
    for stage in ("tokenizer", "audio"):
        assert main([stage, "fit", "--config", "debug", "--out", str(run), "--checkpoint-every", "1"]) == 0
    assert main(["export", str(run), "--out", str(tmp_path / "model")]) == 0
    for part in ("video_tokenizer", "audio_tokenizer"):
        assert same(weights_of(tmp_path / "model" / part), weights_of(run / "model" / part))
        ours, theirs = (TrainedClips.load(each / "model" / part) for each in (tmp_path, run))
        assert ours is not None and ours == theirs


def test_what_cannot_be_exported_is_one_line(tmp_path, capsys):
    assert main(["export", str(tmp_path)]) == 2
    assert "has no checkpoint in training/*/" in capsys.readouterr().err
    assert main(["export", str(tmp_path), "--checkpoint", str(tmp_path / "x.ckpt")]) == 2
    assert "no checkpoint" in capsys.readouterr().err
    (tmp_path / "x.ckpt").touch()
    assert main(["export", str(tmp_path), "--checkpoint", str(tmp_path / "x.ckpt")]) == 2
    assert "is of no stage of a run; expected a checkpoint in RUN/training/" in capsys.readouterr().err
