"""A server of /v1/videos in a thread of its own, as `videolm serve` starts it, with a model of the tests."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from job_queues import wait_until

from videolm.app.jobs.admission import Admission
from videolm.app.jobs.clip_maker import ClipMaker
from videolm.app.jobs.intake import Intake
from videolm.app.jobs.job_queue import JobQueue, QueueLimits
from videolm.app.jobs.job_store import JobStore
from videolm.app.server.http_app import Admittance, http_app
from videolm.app.server.options import listening
from videolm.app.server.serve import server_of
from videolm.app.server.video_request import RequestReader

NAME = "tiny"


@dataclass
class VideoServer:
    """A running server.

    Args:
        address: http://127.0.0.1:PORT.
        queue: behind it.
        client: that asks it.
    """

    address: str
    queue: JobQueue
    client: httpx.Client

    def post(self, path: str = "", **options: Any) -> httpx.Response:
        return self.client.post(f"/v1/videos{path}", **options)

    def get(self, path: str = "", **options: Any) -> httpx.Response:
        return self.client.get(f"/v1/videos/{path}".removesuffix("/"), **options)

    def finished(self, answer: httpx.Response, **options: Any) -> dict[str, Any]:
        """The job of an answer, when it is finished."""
        assert answer.status_code == 200, answer.text
        name = answer.json()["id"]
        wait_until(lambda: self.get(name, **options).json()["status"] in ("completed", "failed"))
        return self.get(name, **options).json()


@contextmanager
def video_server(
    model: Any, folder: Path, make: Any = None, limits: QueueLimits | None = None, **admittance: Any
) -> Iterator[VideoServer]:
    """A server.

    Args:
        make: in place of the model, whose sizes and tasks stay.
        admittance: fields of `Admittance`.
    """
    store = JobStore(folder)
    with (
        closing(listening("127.0.0.1", 0)) as listener,
        closing(Intake(store.uploads, num_workers=1)) as intake,
        JobQueue(store, make or ClipMaker(model, store), limits) as queue,
    ):
        reader = RequestReader(Admission(model), intake, NAME)
        server = server_of(http_app(queue, reader, 0, Admittance(**admittance)))
        thread = threading.Thread(target=_run, args=(server, listener), daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        wait_until(lambda: server.started)
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
            yield VideoServer(address, queue, client)
        server.should_exit = True
        thread.join()


def _run(server: uvicorn.Server, listener: Any) -> None:
    server.run(sockets=[listener])
