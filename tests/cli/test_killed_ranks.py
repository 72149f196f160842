"""A fit on two processes (gloo) that SIGKILL ends at ten moments, once in the middle of a checkpoint."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from job_queues import wait_until

from videolm.data.runtime.import_path import isolated_environment

SIZES = "{dim: 16, layers: 2, heads: 2, kv_heads: 1, hidden: 32, rotary_dims: [4, 2, 2]}"
KILLS, SECONDS = 10, 120.0


def started(run: Path, out: Path, log: Path) -> subprocess.Popen:
    """`videolm lm fit` on two processes, which Lightning starts, in a group of their own."""
    words = ["lm", "fit", "--config", "debug", "--trainer.callbacks", "null", "--out", str(out)]
    words += ["--data.shards", str(run / "shards"), "--data.model", str(run / "model")]
    words += ["--model.model", SIZES, "--data.batch_size", "2", "--data.validation_share", "0.2"]
    words += ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.max_steps", "60"]
    words += ["--checkpoint-every", "2", "--trainer.val_check_interval", "20", "--model.ema_decay", "0.9"]
    words += ["--trainer.accelerator", "cpu"]
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "videolm.cli.main", *words],
            start_new_session=True,
            env=isolated_environment() | {"OMP_NUM_THREADS": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def killed_when(process: subprocess.Popen, is_so: Callable[[], bool], after: float, log: Path) -> None:
    """SIGKILL for both processes, `after` seconds from when it is so."""
    wait_until(lambda: is_so() or process.poll() is not None, SECONDS)
    time.sleep(after)
    assert process.poll() is None, f"ended before it was killed: {log.read_text()[-2000:]}"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_two_ranks_killed_ten_times_end_with_the_weights_of_an_undisturbed_run(
    coded_run: Path, tmp_path: Path, same_weights
) -> None:
    """Moments are drawn: while it starts, or after up to two more checkpoints and up to half a second."""
    log, (whole, killed) = tmp_path / "log", (tmp_path / name for name in ("whole", "killed"))
    assert started(coded_run, whole, log).wait(SECONDS) == 0, log.read_text()[-2000:]
    checkpoint, draw = killed / "training/lm/last.ckpt", random.Random(0)

    def written() -> int:
        return checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0

    for kill in range(KILLS):
        process, before = started(coded_run, killed, log), written()
        if kill == KILLS // 2:
            killed_when(process, lambda: any(checkpoint.parent.glob(".last.ckpt.*")), 0.0, log)
        elif kill % 3 == 2:
            killed_when(process, lambda: True, draw.uniform(0.0, 8.0), log)
        else:
            killed_when(process, lambda before=before: written() != before, draw.uniform(0.0, 0.5), log)
    assert started(coded_run, killed, log).wait(SECONDS) == 0, log.read_text()[-2000:]
    assert same_weights(*(each / "training/lm" for each in (whole, killed)))
