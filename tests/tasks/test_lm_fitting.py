"""`videolm lm fit`: a killed run goes on to the same weights, and models are trained on."""

from pathlib import Path

from videolm.tasks.cli import main

SIZES = """{dim: 16, layers: 2, heads: 2, kv_heads: 1, hidden: 32, rotary_dims: [4, 2, 2]}"""
SMALL = ["--model.model", SIZES, "--data.batch_size", "4", "--data.validation_share", "0.2"]


def fit(run: Path, out: Path, *more: str) -> int:
    return main(command(run, out, *more))


def command(run: Path, out: Path, *more: str) -> list[str]:
    folders = ["--data.shards", str(run / "shards"), "--data.model", str(run / "model"), "--out", str(out)]
    return ["lm", "fit", "--config", "debug", "--trainer.callbacks", "null", *folders, *SMALL, *more]


def test_a_fit_ended_by_sigkill_goes_on_to_the_same_weights(
    coded_run: Path, tmp_path: Path, run_until_killed, same_weights
) -> None:
    """In the middle of an epoch, with accumulated batches and the average of the weights, bit for bit."""
    more = ["--trainer.max_steps", "5", "--trainer.val_check_interval", "10", "--checkpoint-every", "2"]
    more += ["--trainer.accumulate_grad_batches", "2", "--model.ema_decay", "0.9"]
    assert fit(coded_run, tmp_path / "whole", *more) == 0
    training = "videolm.lm.training.LanguageModelTraining"
    run_until_killed(command(coded_run, tmp_path / "killed", *more), training, step=3)
    assert fit(coded_run, tmp_path / "killed", *more) == 0
    assert same_weights(*(tmp_path / run / "training/lm" for run in ("whole", "killed")))
