"""Which checkpoints a run keeps, when they are written, and how a signal ends it."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException
from tiny_fit import TinyTraining, tiny_fit

from videolm.training import run_checkpoint, stop_signals
from videolm.training.background_writing import BackgroundCheckpointIO
from videolm.training.checkpoints import WholeCheckpointIO, find_checkpoint, step_of
from videolm.training.run_checkpoint import BestCheckpoint, RunCheckpoint
from videolm.training.step_random import place_of, step_generator
from videolm.training.stop_signals import StopSignals

SCORES = {2: 1.0, 4: 3.0, 6: 2.0, 8: 2.5}


class Steady(TinyTraining):
    """Its noise follows from the step: a run that goes on ends with the weight of an unbroken one."""

    def training_step(self, batch, batch_idx):
        self.stop("train", self.global_step)
        noise = torch.rand((), generator=step_generator(0, *place_of(self, batch_idx)))
        return (self.weight - batch.sum() - noise) ** 2


def same_weight(*folders: Path) -> bool:
    one, other = (torch.load(each / "last.ckpt", weights_only=True)["state_dict"] for each in folders)
    return torch.equal(one["weight"], other["weight"])


def kept(folder: Path) -> dict[str, int]:
    return {path.name: step_of(path) for path in sorted(folder.glob("*.ckpt"))}


def test_the_newest_are_kept_also_by_a_run_that_goes_on(tmp_path):
    """last.ckpt is a second name of the newest: nothing is stored twice."""

    def fit(steps: int) -> None:
        tiny_fit(tmp_path, TinyTraining({}), steps=steps, checkpoint=RunCheckpoint(tmp_path, 1, keep=3))

    fit(4)
    steps = {"step-000002.ckpt": 2, "step-000003.ckpt": 3, "step-000004.ckpt": 4}
    assert kept(tmp_path) == steps | {"last.ckpt": 4}
    assert (tmp_path / "last.ckpt").samefile(tmp_path / "step-000004.ckpt")
    fit(6)
    steps = {f"step-{step:06d}.ckpt": step for step in (4, 5, 6)}
    assert kept(tmp_path) == steps | {"last.ckpt": 6}
    (tmp_path / "last.ckpt").unlink()
    (tmp_path / "last.ckpt").write_text("torn")
    assert find_checkpoint(tmp_path).path == tmp_path / "step-000006.ckpt"


def test_the_best_by_a_metric_is_kept_also_by_a_run_that_goes_on(tmp_path):
    for steps in (6, 8):
        best = BestCheckpoint(tmp_path, "val/score", "max")
        tiny_fit(tmp_path, TinyTraining(SCORES), steps=steps, callbacks=[best])
        assert kept(tmp_path) == {"best.ckpt": 4, "last.ckpt": steps}
    lowest = BestCheckpoint(tmp_path / "low", "val/score", "min")
    tiny_fit(tmp_path / "low", TinyTraining(SCORES), steps=8, callbacks=[lowest])
    assert kept(tmp_path / "low")["best.ckpt"] == 2


def test_by_minutes(tmp_path, monkeypatch):
    clock = iter(range(0, 10**6, 30))  # each look at it is half a minute later
    monkeypatch.setattr(run_checkpoint, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    saved: list[int] = []

    def note() -> None:
        saved.append(step_of(tmp_path / "last.ckpt"))

    checkpoint = RunCheckpoint(tmp_path, minutes=1.5, after=note)
    tiny_fit(tmp_path, TinyTraining({}), steps=8, interval=100, checkpoint=checkpoint)
    assert saved == [3, 6, 8]


def test_of_accumulated_batches_none_is_saved_in_the_middle(tmp_path):
    """Also of a run that goes on: its weights are those of an unbroken one, bit for bit."""
    for folder, stops in (("whole", (6,)), ("broken", (3, 6))):
        for steps in stops:
            place = tmp_path / folder
            tiny_fit(place, Steady({}), steps=steps, checkpoint_every=1, accumulate=2, interval=100)
    assert same_weight(tmp_path / "whole", tmp_path / "broken")


def test_what_is_written_in_the_background_is_the_step_it_was_saved_at_and_there_at_the_end(tmp_path):
    whole, background = tmp_path / "whole", tmp_path / "background"
    tiny_fit(whole, TinyTraining(SCORES), steps=8, checkpoint_every=1)
    io = BackgroundCheckpointIO(WholeCheckpointIO())
    checkpoint = RunCheckpoint(background, 1, keep=2)
    tiny_fit(background, TinyTraining(SCORES), steps=8, checkpoint=checkpoint, io=io)
    assert kept(background) == {"last.ckpt": 8, "step-000007.ckpt": 7, "step-000008.ckpt": 8}
    assert same_weight(whole, background)


def test_an_error_in_the_background_ends_the_training(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device", "last.ckpt")

    monkeypatch.setattr("videolm.training.checkpoints.torch.save", fail)
    io = BackgroundCheckpointIO(WholeCheckpointIO())
    with pytest.raises(OSError, match="No space left"):
        tiny_fit(tmp_path, TinyTraining({}), steps=100, checkpoint_every=1, io=io)


def test_a_model_is_exported_after_every_second_checkpoint_counted_over_the_whole_run(tmp_path):
    exported: list[int] = []

    def fit(steps: int) -> None:
        checkpoint = RunCheckpoint(
            tmp_path, 1, export=lambda trainer: exported.append(trainer.global_step), export_every=2
        )
        tiny_fit(tmp_path, TinyTraining({}), steps=steps, checkpoint=checkpoint, interval=100)

    fit(3)
    fit(6)
    assert exported == [2, 4, 6]


def stopped_by(number: int, folder: Path, io=None) -> SIGTERMException:
    """A training that gets a signal in the middle of step 3, of two accumulated batches."""

    def send(phase: str, step: int) -> None:
        if (phase, step) == ("train", 2):
            os.kill(os.getpid(), number)

    checkpoint = RunCheckpoint(folder, 100, signals=StopSignals("lm"))
    with pytest.raises(SIGTERMException) as stopped:
        tiny_fit(folder, Steady({}, send), checkpoint=checkpoint, accumulate=2, interval=100, io=io)
    return stopped.value


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("in_background", [False, True])
def test_a_signal_ends_a_training_after_its_step_and_it_goes_on_to_the_same_weights(
    number, in_background, tmp_path, capsys
):
    before = signal.getsignal(number)
    io = BackgroundCheckpointIO(WholeCheckpointIO()) if in_background else None
    assert stopped_by(number, tmp_path / "stopped", io).code == 128 + number
    assert signal.getsignal(number) == before
    assert kept(tmp_path / "stopped") == {"last.ckpt": 3}
    said = f"lm: stopped by {number.name} after step 3, which is saved; the same command goes on"
    assert said in capsys.readouterr().out
    for folder in ("stopped", "whole"):
        tiny_fit(tmp_path / folder, Steady({}), accumulate=2, interval=100)
    assert same_weight(tmp_path / "stopped", tmp_path / "whole")


def test_a_step_whose_validation_is_due_is_saved_after_it(tmp_path):
    def send(phase: str, step: int) -> None:
        if (phase, step) == ("train", 3):
            os.kill(os.getpid(), signal.SIGTERM)

    module = TinyTraining(SCORES, send)
    checkpoint = RunCheckpoint(tmp_path, 100, signals=StopSignals("lm"))
    with pytest.raises(SIGTERMException):
        tiny_fit(tmp_path, module, steps=8, checkpoint=checkpoint)
    assert module.validated == [2, 4] and kept(tmp_path) == {"last.ckpt": 4}


@pytest.mark.parametrize(
    ("number", "environment", "job", "expected"),
    [
        (signal.SIGUSR1, SLURMEnvironment(), {"SLURM_JOB_ID": "7"}, "7"),
        (signal.SIGUSR1, SLURMEnvironment(), {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}, "7_2"),
        (signal.SIGTERM, SLURMEnvironment(), {"SLURM_JOB_ID": "7"}, None),
        (signal.SIGUSR1, SLURMEnvironment(auto_requeue=False), {"SLURM_JOB_ID": "7"}, None),
        (signal.SIGUSR1, LightningEnvironment(), {"SLURM_JOB_ID": "7"}, None),
    ],
)
def test_slurm_is_asked_to_queue_the_job_again_where_lightning_would(
    number, environment, job, expected, monkeypatch
):
    asked: list[list[str]] = []

    def run(words, **_):
        asked.append(words)
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(stop_signals.subprocess, "run", run)
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    assert stop_signals.requeue(environment, number) == (expected is not None)
    assert asked == ([] if expected is None else [["scontrol", "requeue", expected]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "checkpoint_every is 0"),
        ({"minutes": 0}, "minutes is 0"),
        ({"keep": 0}, "keep_checkpoints is 0"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        RunCheckpoint(tmp_path, **settings)
