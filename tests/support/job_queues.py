"""Queues of jobs for tests: a maker that paints without a model, and waiting for what a thread does."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from videolm.app.jobs.job import Job, JobRequest
from videolm.app.jobs.job_queue import JobQueue, QueueLimits
from videolm.app.jobs.job_store import JobStore
from videolm.data.media.clip import Clip

SIZE = (16, 16, 3, 8.0)


class Painter:
    """Makes clips of one grey, the seed modulo 256; keeps the batches that it was asked for.

    Args:
        before: called with the jobs of a batch and what tells the progress, before they are made.
    """

    def __init__(self, before: Callable[[Sequence[Job], Callable[[float], None]], None] | None = None):
        self.before, self.batches = before, list[list[int]]()

    def __call__(self, jobs: Sequence[Job], report: Callable[[float], None]) -> list[Clip]:
        self.batches.append([job.request.seed for job in jobs])
        if self.before is not None:
            self.before(jobs, report)
        report(1.0)
        return [painted(job.request.seed) for job in jobs]


def painted(seed: int) -> Clip:
    return Clip(torch.full((SIZE[2], *SIZE[:2], 3), seed % 256, dtype=torch.uint8), SIZE[3])


def queue_in(folder: Path, make: Any = None, **limits: Any) -> JobQueue:
    return JobQueue(JobStore(folder), make or Painter(), QueueLimits(**limits))


def submit(queue: JobQueue, seed: int = 0, owner: str = "", **fields: Any) -> Job:
    return queue.submit(JobRequest(fields.pop("task", "text_to_video"), seed=seed, **fields), SIZE, {}, owner)


def wait_until(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for another thread or process; fails the test if it takes too long."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def finished(queue: JobQueue, *jobs: Job) -> list[Job]:
    """The jobs when they are finished."""
    wait_until(lambda: all(queue.job(job.id, job.owner).is_finished for job in jobs))
    return [queue.job(job.id, job.owner) for job in jobs]
