"""What all tabs of the page share: the queue, the model's limits, who asks, and watching what is made."""

import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence

import gradio as gr

from ...generation.pipeline import VideoLM
from ...tasks.conditions import Motion
from ..jobs.admission import Admission
from ..jobs.intake import Intake
from ..jobs.job import Job, JobRequest
from ..jobs.job_queue import JobQueue, NoSuchJob, QueueFull
from ..jobs.previews import Previews
from .calls import Caller, Calls
from .examples import Examples
from .orders import Orders
from .results import problem, results

_LOOK_SECONDS = 0.1
_FAULT = "this could not be done; the log of the server says why"


class Desk:
    """One for a page.

    Args:
        examples: None for a model that did not learn from the embedded corpus.
    """

    def __init__(
        self,
        queue: JobQueue,
        admission: Admission,
        intake: Intake,
        previews: Previews,
        caller: Caller,
        examples: Examples | None,
    ):
        self.queue, self.admission, self.previews = queue, admission, previews
        self.caller, self.examples = caller, examples
        self.orders = Orders(queue, admission, intake)

    @property
    def model(self) -> VideoLM:
        return self.admission.model

    def owner(self, request: gr.Request) -> str:
        """Whose the request is, as `server/access.py` found."""
        inner = request.request
        assert inner is not None
        return inner.state.owner

    def told(self, error: Exception) -> str:
        """What a visitor is told of an exception: a mistake in its own words, any other in the log alone."""
        if isinstance(error, ValueError | QueueFull):
            return (str(error).splitlines() or [_FAULT])[0]
        traceback.print_exception(error, file=sys.stderr)
        return _FAULT

    def calls(self, wanted: JobRequest, names: Mapping[str, str], count: int = 1) -> Calls:
        """The calls of a request, as `Caller.of`."""
        task = self.model.config.task(wanted.task)
        return self.caller.of(wanted, names, count, isinstance(task.conditions, Motion))

    def jobs(self, ids: Sequence[str], owner: str) -> list[Job]:
        """Those of the jobs that are still there."""
        found = []
        for name in ids:
            try:
                found.append(self.queue.job(name, owner))
            except NoSuchJob:
                continue
        return found

    def watched(self, ids: Sequence[str], owner: str) -> Iterator[str]:
        """How jobs look whenever that changes, up to their end."""
        for name in ids:
            self.previews.watch(name)
        shown = ""
        try:
            while jobs := self.jobs(ids, owner):
                if (now := results(jobs, self.previews)) != shown:
                    shown = now
                    yield now
                if all(job.is_finished for job in jobs):
                    return
                time.sleep(_LOOK_SECONDS)
            yield problem("what was made has been deleted")
        finally:
            for name in ids:
                self.previews.forget(name)
