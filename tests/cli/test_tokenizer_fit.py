"""What the three fit commands share, tried on the smallest video tokenizer."""

import csv
import os
import signal
from pathlib import Path

import pytest
from films import write_films

from videolm.cli.main import main
from videolm.tokenizers.video.lightning_module import VideoTokenizerTraining


def fit(out: Path, *more: str) -> int:
    return main(["tokenizer", "fit", "--config", "debug", "--out", str(out), *more])


def losses(out: Path) -> dict[int, str]:
    with (out / "training/tokenizer/metrics.csv").open(newline="") as file:
        return {int(row["step"]): row["train/loss"] for row in csv.DictReader(file) if row["train/loss"]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fit") / "run"
    assert fit(out, "--trainer.max_steps", "6") == 0
    return out


def test_a_fit_writes_model_checkpoint_metrics_config_and_samples(run: Path) -> None:
    folder = run / "training/tokenizer"
    assert (run / "model/video_tokenizer/model.safetensors").is_file()
    names = {"best", "clips.json", "config.yaml", "last.ckpt", "metrics.csv", "samples", "validations.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert list(losses(run)) == list(range(6))


def test_a_killed_fit_goes_on_to_the_same_losses(run: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    """Killed in step 5, after the checkpoint of step 3: steps 3 and 4 are done again."""
    real_step = VideoTokenizerTraining.training_step

    def killed_step(self, batch, batch_index):
        if self.global_step == 5:
            raise KeyboardInterrupt
        return real_step(self, batch, batch_index)

    more = ("--trainer.max_steps", "6", "--checkpoint-every", "3")
    with monkeypatch.context() as patched:
        patched.setattr(VideoTokenizerTraining, "training_step", killed_step)
        assert fit(tmp_path, *more) == 130
    assert not (tmp_path / "model").exists()
    capsys.readouterr()
    assert fit(tmp_path, *more) == 0
    assert "at step 3" in capsys.readouterr().out
    assert losses(tmp_path) == losses(run)


def test_a_fit_that_gets_sigterm_ends_with_143_and_goes_on_to_the_same_losses(
    run: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    """Also one that is asked to save every ten thousand steps."""
    real_step = VideoTokenizerTraining.training_step

    def warned_step(self, batch, batch_index):
        if self.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return real_step(self, batch, batch_index)

    more = ("--trainer.max_steps", "6", "--checkpoint-every", "10000")
    with monkeypatch.context() as patched:
        patched.setattr(VideoTokenizerTraining, "training_step", warned_step)
        assert fit(tmp_path, *more) == 143
    assert "tokenizer: stopped by SIGTERM after step 3, which is saved" in capsys.readouterr().out
    assert fit(tmp_path, *more) == 0
    assert "at step 3" in capsys.readouterr().out
    assert losses(tmp_path) == losses(run)


def test_a_fit_that_goes_on_says_that_its_clips_are_others(tmp_path, capsys) -> None:
    clips = write_films(tmp_path / "clips")
    arguments = ("--data.source", str(clips), "--data.num_frames", "1", "--checkpoint-every", "1")
    assert fit(tmp_path / "run", *arguments, "--trainer.max_steps", "1") == 0
    assert fit(tmp_path / "run", *arguments, "--trainer.max_steps", "2") == 0
    assert "clips are not those" not in capsys.readouterr().out
    write_films(clips, ["another red.mp4"])
    assert fit(tmp_path / "run", *arguments, "--trainer.max_steps", "3") == 0
    assert "begun with (4 then, 5 now)" in capsys.readouterr().out


def test_a_fit_says_what_it_does_and_what_follows(tmp_path, capsys) -> None:
    clips = write_films(tmp_path / "clips")
    arguments = ("--data.source", str(clips), "--data.num_frames", "1")
    assert fit(tmp_path / "run", *arguments, "--trainer.max_steps", "6") == 0
    lines = [line.removeprefix("tokenizer: ") for line in capsys.readouterr().out.splitlines()]
    begin = next(place for place, line in enumerate(lines) if "to learn from" in line)
    assert lines[begin].startswith("3 clips to learn from, 1 held out; a step sees 2 clips of 1 frames of ")
    assert lines[begin + 1].startswith("6 steps: each clip is seen 4 times; validated every 2 steps")
    assert any(line.startswith("PSNR of held-out clips: ") for line in lines)
    assert any(" codes in even use " in line for line in lines)
    model = tmp_path / "run/model"
    assert f"next: videolm encode {clips} --model {model} --out {tmp_path / 'run/shards'}" in lines


def test_steps_follow_the_number_of_clips_and_stay_when_a_fit_goes_on(tmp_path, capsys) -> None:
    clips = write_films(tmp_path / "clips")
    budget = ["--trainer.max_steps", "-1", "--steps", "{passes: 1, least: 1, most: 90, validations: 2}"]
    arguments = ["--data.source", str(clips), "--data.num_frames", "1", *budget, "--data.batch_size", "1"]
    assert fit(tmp_path / "run", *arguments) == 0
    assert "3 steps: " in capsys.readouterr().out
    assert len(losses(tmp_path / "run")) == 3
    write_films(clips, ["another red.mp4"])
    assert fit(tmp_path / "run", *arguments) == 0
    assert "at step 3" in capsys.readouterr().out and len(losses(tmp_path / "run")) == 3
    assert fit(tmp_path / "other", *arguments, "--steps.passes", "0") == 2
    assert "expected passes above 0" in capsys.readouterr().err


@pytest.mark.long
def test_a_fit_ended_by_sigkill_goes_on_to_the_same_weights(
    tmp_path: Path, run_until_killed, same_weights
) -> None:
    """With a discriminator: of tokenizer, average and adversary, bit for bit."""
    more = ["--trainer.max_steps", "5", "--checkpoint-every", "2"]
    more += ["--model.discriminator", "{channels: 4, multipliers: [1, 2]}"]
    assert fit(tmp_path / "whole", *more) == 0
    command = ["tokenizer", "fit", "--config", "debug", "--out", str(tmp_path / "killed"), *more]
    run_until_killed(command, VideoTokenizerTraining, step=3)
    assert fit(tmp_path / "killed", *more) == 0
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert same_weights(*(tmp_path / run / "training/tokenizer" for run in ("whole", "killed")))


def test_a_finished_fit_run_again_only_says_so(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = (run / "model/video_tokenizer/model.safetensors").read_bytes()
    before = losses(run)
    assert fit(run, "--trainer.max_steps", "6") == 0
    assert "at step 6" in capsys.readouterr().out
    assert losses(run) == before
    assert (run / "model/video_tokenizer/model.safetensors").read_bytes() == weights


def test_a_checkpoint_of_another_model_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(run, "--model.tokenizer.bits", "8") == 2
    assert "model.tokenizer" in capsys.readouterr().err


def test_validate_prints_the_scores_of_the_checkpoint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenizer", "validate", "--config", "debug", "--out", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "val/psnr_db" in printed and "last frame repeated" in printed
    assert {path.name for path in (run / "training/tokenizer").iterdir()} >= {
        "scores.json",
        "psnr_by_frame.png",
    }
