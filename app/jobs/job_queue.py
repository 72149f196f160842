"""The queue: jobs of all callers, made one batch after the other by one model in one thread.

    queue = JobQueue(store, make, limits)
    with queue:                                   # goes on with what a former process left
        job = queue.submit(request, …)            # on disk when this returns
        queue.job(job.id, owner).progress

Whoever shows progress (polling, server-sent events, a page) reads `job`: jobs are values, which are replaced.
"""

import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType

from ...data.media.clip import Clip
from ...data.runtime.typed_fields import check_least
from .job import Job, JobRequest, new_id
from .job_store import JobStore

Report = Callable[[float], None]
# Of jobs that may be made together: a clip of each. Called with the share that is done; that call may raise.
Make = Callable[[Sequence[Job], Report], list[Clip]]

_LOOK_SECONDS = 5.0  # between two looks at what has expired
_REMEMBERED = 32  # batches from whose pace the time of waiting is told
_MOST_RETRY = 60
FAULT = "the clip could not be made; the log of the server says why"


class QueueFull(Exception):
    """No more jobs are taken now.

    Args:
        retry_after: seconds after which there may be room.
    """

    def __init__(self, retry_after: int):
        super().__init__(f"the queue is full; try again in {retry_after} s")
        self.retry_after = retry_after


class NoSuchJob(LookupError):
    """There is no such job, or it is somebody else's."""


class _Interrupted(Exception):
    """Nobody waits for the batch any more, or the queue ends."""


@dataclass(frozen=True)
class QueueLimits:
    """How much is held, and for how long.

    Args:
        waiting: jobs that wait; more are refused.
        own: of them one owner's, so that nobody fills the queue for all; None is as many as there are.
        kept: finished jobs; of more the oldest are removed before they expire.
        batch: jobs that are made together.
        seconds: that a finished job is kept.
        attempts: at making a job, of which each ended with the process.
    """

    waiting: int = 64
    kept: int = 1000
    batch: int = 8
    seconds: float = 24 * 3600.0
    attempts: int = 3
    own: int | None = None

    def __post_init__(self) -> None:
        check_least(self, waiting=1, kept=1, batch=1, attempts=1)
        if self.own is not None:
            check_least(self, own=1)
        if self.seconds <= 0:
            raise ValueError(f"seconds that results are kept are {self.seconds:g}; expected more than 0")


@dataclass
class Counts:
    """What has happened since the start.

    Args:
        finished: by status, cancelled ones by this word.
        latencies: seconds from acceptance to the end, of completed jobs: their number by upper bound, in
            order, the last without one; and their sum.
        batches: sizes of the batches: their number by size.
    """

    accepted: int = 0
    refused: int = 0
    finished: dict[str, int] = field(default_factory=lambda: {"completed": 0, "failed": 0, "cancelled": 0})
    latencies: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    latency_sum: float = 0.0
    batches: dict[int, int] = field(default_factory=dict)

    def note_latency(self, seconds: float) -> None:
        self.latencies[sum(seconds > bound for bound in LATENCY_BOUNDS)] += 1
        self.latency_sum += seconds


LATENCY_BOUNDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 1800.0)


class JobQueue:
    """Jobs by their id, and the thread that makes them.

    Args:
        make: makes the clips of a batch; a ValueError is the caller's mistake, and its text is shown.
    """

    def __init__(self, store: JobStore, make: Make, limits: QueueLimits | None = None):
        self.store, self.make, self.limits = store, make, limits or QueueLimits()
        self.counts = Counts()
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[str] = deque()
        self._turns: dict[str, int] = {}  # owner -> the batch that was last made for them
        self._changed = threading.Condition(threading.RLock())
        self._is_ending = False
        self._paces: deque[float] = deque(maxlen=_REMEMBERED)  # seconds a job, of recent batches
        self._thread = threading.Thread(target=self._run, name="videolm jobs", daemon=True)
        self._numbers = 0
        self._restore()

    def __enter__(self) -> "JobQueue":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; the jobs that are being made wait on disk for the next start."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def num_running(self) -> int:
        with self._changed:
            return sum(job.status == "in_progress" for job in self._jobs.values())

    @property
    def num_kept(self) -> int:
        return len(self._jobs)

    @property
    def seconds_a_job(self) -> float:
        """As of late; a guess before any was made."""
        with self._changed:
            return sum(self._paces) / len(self._paces) if self._paces else 1.0

    def check_room(self, owner: str = "") -> None:
        """Raise QueueFull if no job of an owner would be taken now."""
        with self._changed:
            own = sum(self._jobs[name].owner == owner for name in self._waiting)
            if len(self._waiting) >= self.limits.waiting or own >= (self.limits.own or self.limits.waiting):
                self.counts.refused += 1
                wait = min(_MOST_RETRY, round(self.seconds_a_job * self.limits.batch + 0.5))
                raise QueueFull(max(wait, 1))

    def submit(
        self,
        request: JobRequest,
        size: tuple[int, int, int, float],
        media: Mapping[str, Clip],
        owner: str = "",
        notes: Sequence[str] = (),
        remixed_from: str | None = None,
    ) -> Job:
        """Take a job that was checked (admission.py); it is on disk when this returns.

        Args:
            size: height, width, frames and frames a second of the result.

        Raises:
            QueueFull: if too many wait, of this owner or of all.
            OSError: if it cannot be written.
        """
        with self._changed:
            self.check_room(owner)
            height, width, num_frames, fps = size
            job = Job(
                id=new_id(),
                number=self._numbers,
                owner=owner,
                height=height,
                width=width,
                num_frames=num_frames,
                fps=fps,
                created_at=time.time(),
                notes=tuple(notes),
                remixed_from=remixed_from,
                request=request,
            )
            self.store.add(job, media)
            self._numbers += 1
            self.counts.accepted += 1
            self._jobs[job.id] = job
            self._waiting.append(job.id)
            self._changed.notify_all()
            return job

    def job(self, name: str, owner: str = "") -> Job:
        """A job as it is now.

        Raises:
            NoSuchJob: if there is none, or it is somebody else's.
        """
        job = self._jobs.get(name)
        if job is None or job.owner != owner:
            raise NoSuchJob(name)
        return job

    def jobs(self, owner: str = "") -> list[Job]:
        """All of an owner's, the newest last."""
        with self._changed:
            return [job for job in self._jobs.values() if job.owner == owner]

    def cancel(self, name: str, owner: str = "") -> Job:
        """End a job that is not finished: it has failed then, as cancelled. A finished one stays as it is."""
        with self._changed:
            job = self.job(name, owner)
            if not job.is_finished:
                if job.status == "queued":
                    self._waiting.remove(name)
                self._finish(job, "failed", code="cancelled", error="it was cancelled")
            return self._jobs[name]

    def delete(self, name: str, owner: str = "") -> None:
        """Remove a job, its media and its results; one that is not finished is cancelled."""
        with self._changed:
            job = self.cancel(name, owner)
            del self._jobs[name]
            self.store.remove(job)

    def _restore(self) -> None:
        for job in self.store.load():
            self._jobs[job.id] = job
            self._numbers = job.number + 1
            if job.is_finished:
                continue
            if job.attempts >= self.limits.attempts:
                error = f"given up: the server ended {job.attempts} times while it made this"
                self._finish(job, "failed", code="server_error", error=error)
                continue
            if job.status != "queued":
                self._set(replace(job, status="queued", progress=0))
            self._waiting.append(job.id)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._is_ending:
                    self._remove_old()
                    self._changed.wait(_LOOK_SECONDS)
                if self._is_ending:
                    return
                batch = self._next_batch()
            self._make(batch)
            with self._changed:
                self._remove_old()

    def _next_batch(self) -> list[Job]:
        """The next job and those that may be made with it, marked as begun.

        Owners take turns: whose last turn is longest ago has the next, with their oldest job. The others'
        that may be made with it come along, one of each owner after the other; that is no turn of theirs, so
        nobody waits for more turns than there are owners.
        """
        waiting = [self._jobs[name] for name in self._waiting]
        turn = min({job.owner: None for job in waiting}, key=lambda owner: self._turns.get(owner, -1))
        first = next(job for job in waiting if job.owner == turn)
        batch = in_turns([job for job in waiting if job.company == first.company], turn)[: self.limits.batch]
        self._turns[turn] = max(self._turns.values(), default=-1) + 1
        chosen = {job.id for job in batch}
        self._waiting = deque(name for name in self._waiting if name not in chosen)
        self.counts.batches[len(batch)] = self.counts.batches.get(len(batch), 0) + 1
        return [self._set(replace(job, status="in_progress", attempts=job.attempts + 1)) for job in batch]

    def _make(self, batch: Sequence[Job]) -> None:
        """Make a batch; if that fails, each job alone, so that one spoils no other."""
        started = time.monotonic()
        try:
            clips = self.make(batch, partial(self._report, batch))
            for job, clip in zip(batch, clips, strict=True):
                self._complete(job, clip)
        except _Interrupted:
            self._put_back(batch)
            return
        except Exception as error:
            if len(batch) > 1:
                for job in batch:
                    if not self._is_ending and self._is_wanted(job):
                        self._make([job])
                if self._is_ending:
                    self._put_back(batch)
                return
            self._fail(batch[0], error)
        with self._changed:
            self._paces.append((time.monotonic() - started) / len(batch))

    def _report(self, batch: Sequence[Job], share: float) -> None:
        percent = min(99, int(100 * share))
        with self._changed:
            wanted = [self._jobs[job.id] for job in batch if self._is_wanted(job)]
            if self._is_ending or not wanted:
                raise _Interrupted
            for job in wanted:
                if percent > job.progress:  # on disk it does not matter
                    self._jobs[job.id] = replace(job, progress=percent)

    def _is_wanted(self, job: Job) -> bool:
        found = self._jobs.get(job.id)
        return found is not None and not found.is_finished

    def _complete(self, job: Job, clip: Clip) -> None:
        if not self._is_wanted(job):
            return
        try:
            self.store.write_results(job, clip)
        except FileNotFoundError:
            if self._is_wanted(job):
                raise
            return  # it was deleted meanwhile
        with self._changed:
            if self._is_wanted(job):
                self._finish(self._jobs[job.id], "completed", progress=100)
            elif job.id not in self._jobs:
                self.store.remove(job)

    def _fail(self, job: Job, error: Exception) -> None:
        """Note why a job failed: a caller's mistake in its own words, any other in the log alone."""
        if not isinstance(error, ValueError):
            traceback.print_exception(error, file=sys.stderr)
        text = str(error).splitlines()[0] if isinstance(error, ValueError) and str(error) else FAULT
        code = "invalid_request" if isinstance(error, ValueError) else "server_error"
        with self._changed:
            if self._is_wanted(job):
                self._finish(self._jobs[job.id], "failed", code=code, error=text)

    def _put_back(self, batch: Sequence[Job]) -> None:
        with self._changed:
            for job in batch:
                now = self._jobs.get(job.id)
                if now is not None and now.status == "in_progress":
                    self._set(replace(now, status="queued", progress=0, attempts=now.attempts - 1))

    def _finish(self, job: Job, status: str, **changes: object) -> None:
        now = time.time()
        expires = now + self.limits.seconds
        done = replace(job, status=status, completed_at=now, expires_at=expires, **changes)  # type: ignore[arg-type]
        self.counts.finished["cancelled" if done.code == "cancelled" else status] += 1
        if status == "completed":
            self.counts.note_latency(now - job.created_at)
        self._set(done)

    def _set(self, job: Job) -> Job:
        """Change a job. Where the disk is full the former state stays there, from which a restart goes on."""
        try:
            self.store.save(job)
        except OSError as error:
            print(f"{job.id} is {job.status}, which cannot be written: {error}", file=sys.stderr, flush=True)
        self._jobs[job.id] = job
        return job

    def _remove_old(self) -> None:
        """Remove jobs that have expired, and of more than are kept the oldest."""
        now = time.time()
        finished = [job for job in self._jobs.values() if job.is_finished]
        surplus = max(len(finished) - self.limits.kept, 0)
        for number, job in enumerate(sorted(finished, key=lambda job: job.completed_at or 0.0)):
            if number < surplus or (job.expires_at or now) <= now:
                del self._jobs[job.id]
                self.store.remove(job)


def in_turns(jobs: Sequence[Job], first: str) -> list[Job]:
    """One job of each owner after the other, in each round the owner `first` before the others."""
    rounds: dict[str, int] = {}
    order = []
    for number, job in enumerate(jobs):
        turn = rounds.get(job.owner, 0)
        rounds[job.owner] = turn + 1
        order.append((turn, job.owner != first, number))
    return [jobs[number] for _, _, number in sorted(order)]
