"""`videolm super-resolution fit`: a killed run goes on to the same weights, and stages are trained on."""

from pathlib import Path

import pytest

from videolm.cli.main import main
from videolm.cli.training_curves import read_curves
from videolm.super_resolution.training.lightning_module import SuperResolutionTraining
from videolm.super_resolution.transformer import SuperResolution

SIZES = """{dim: 32, blocks: 1, heads: 2, hidden: 32, rotary_dims: [4, 4, 4], vertical: [1, 8, 2],
horizontal: [1, 2, 8], temporal: [3, 4, 4]}"""
SMALL = ["--model.model", SIZES, "--data.batch_size", "2", "--data.validation_share", "0.2"]


@pytest.fixture(scope="module")
def pairs(model_folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("pairs") / "shards"
    command = ["encode", "synthetic-plain", "--model", str(model_folder), "--out", str(out)]
    size = ["--height", "64", "--width", "64", "--num-frames", "9", "--clips", "8"]
    assert main([*command, *size, "--super-resolution", "2"]) == 0
    return out


@pytest.fixture
def command(model_folder, pairs):
    def words(out: Path, *more: str) -> list[str]:
        folders = ["--data.shards", str(pairs), "--data.model", str(model_folder), "--out", str(out)]
        config = ["super-resolution", "fit", "--config", "debug", "--trainer.callbacks", "null"]
        return [*config, *folders, *SMALL, *more]

    return words


def test_a_fit_ended_by_sigkill_goes_on_to_the_same_weights(
    command, tmp_path, run_until_killed, same_weights
):
    """In the middle of an epoch, with accumulated batches and the average of the weights, bit for bit."""
    more = ["--trainer.max_steps", "5", "--trainer.val_check_interval", "10", "--checkpoint-every", "2"]
    more += ["--trainer.accumulate_grad_batches", "2", "--model.ema_decay", "0.9"]
    assert main(command(tmp_path / "whole", *more)) == 0
    run_until_killed(command(tmp_path / "killed", *more), SuperResolutionTraining, step=3)
    assert main(command(tmp_path / "killed", *more)) == 0
    folders = (tmp_path / run / "training/super-resolution" for run in ("whole", "killed"))
    assert same_weights(*folders)


def test_a_stage_is_written_pictured_validated_described_and_trained_on(command, tmp_path, capsys):
    sample = "videolm.tasks.training_data.super_resolution_samples.SuperResolutionSamples"
    pictures = ["--trainer.callbacks", f"[{{class_path: {sample}, init_args: {{every: null}}}}]"]
    words = command(tmp_path / "run", "--trainer.max_steps", "4", *pictures)
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "sequences of" in said and "super_resolution/9x64x64 is of step" in said
    folder = tmp_path / "run/training/super-resolution"
    assert {each.name for each in (folder / "samples").iterdir()} == {"step-000002.png", "step-000004.png"}
    logged = read_curves(folder / "metrics.csv").keys()
    assert {"train/nats", "validation/nats", "validation/codes_right"} <= logged
    stage = SuperResolution.from_model(tmp_path / "run/model", "9x64x64")
    assert stage.config.clips.has_text and stage.config.clips.name == "9x64x64"
    validate = ["super-resolution", "validate", "--config", str(folder / "config.yaml")]
    assert main([*validate, "--out", str(tmp_path / "run")]) == 0
    assert "validation/nats" in capsys.readouterr().out
    assert main(["info", str(tmp_path / "run/model/super_resolution/9x64x64")]) == 0
    still = ["--model.learning_rate", "0", "--model.adam_learning_rate", "0", "--model.share_bits", "false"]
    assert main(command(tmp_path / "more", "--init-from", str(tmp_path / "run/model"), *still)) == 0
    assert SuperResolution.from_model(tmp_path / "more/model", "9x64x64").fingerprint == stage.fingerprint


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--data.height", "96"], "the stage is to make height 96"),
        (["--model.model.vertical", "[1, 3, 2]"], "in multiples of 2"),
        (["--init-from", "nowhere"], "has no super_resolution/"),
    ],
)
def test_what_does_not_fit_ends_in_one_line(more, said, command, tmp_path, capsys):
    assert main(command(tmp_path, *more)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0]
