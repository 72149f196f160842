"""`videolm serve`: one model behind /v1/videos, until it is stopped."""

import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import uvicorn
from fastapi import FastAPI

from ...data.analysis.geometry import Geometry
from ...data.analysis.open_geometry import geometry_for
from ...data.runtime.model_source import source_name
from ...data.runtime.notes import Note
from ...data.runtime.one_writer import only_writer
from ...generation.pipeline import VideoLM
from ...generation.run_request import Runtime
from ...lm.decoding.quantized import quantize
from ..jobs.admission import Admission
from ..jobs.clip_maker import ClipMaker
from ..jobs.intake import Intake
from ..jobs.job_queue import JobQueue, QueueLimits
from ..jobs.job_store import JobStore
from ..jobs.previews import Previews
from .http_app import MEBIBYTE, Admittance, http_app
from .options import Capacity, Service
from .video_request import RequestReader

_CONNECTIONS = 256
_HEADER_BYTES = 2**15
_END_SECONDS = 5
_LOOPBACK = ("127.", "::1", "localhost")


@dataclass(frozen=True)
class Started:
    """All of a server but its listening.

    Args:
        app: answers requests.
        queue: of jobs, at work.
        reader: of requests, with what the model can be asked for and who reads files.
        previews: frames of jobs that are being made.
        admittance: who may ask.
    """

    app: FastAPI
    queue: JobQueue
    reader: RequestReader
    previews: Previews
    admittance: Admittance


def serve(
    model: Path,
    service: Service,
    capacity: Capacity,
    runtime: Runtime,
    depth: str | None,
    tokens: Sequence[str],
    listener: socket.socket,
) -> None:
    """Answer requests until a signal ends it; jobs that are not finished wait for the next start.

    Args:
        model: folder.
        depth: how depth is found, as for `generate`.
        tokens: of those who may ask; anybody if there are none.
        listener: at the service's address.

    Raises:
        FileNotFoundError, ValueError: for what cannot be used.
    """
    admittance = admittance_of(service, tokens)
    with started(model, service.jobs, capacity, runtime, depth, admittance) as running:
        address = address_of(service, listener, running.admittance)
        name = running.reader.name
        print(f"serving {name} at {address}/v1 (jobs in {service.jobs}); Ctrl-C ends it", flush=True)
        server_of(running.app).run(sockets=[listener])


def admittance_of(service: Service, tokens: Sequence[str], sign_in: str | None = None) -> Admittance:
    """Who may ask for what, as the options say."""
    return Admittance(
        service.named("allow_hosts"),
        service.named("allow_origins"),
        tuple(tokens),
        service.allow_fetch,
        service.max_upload * MEBIBYTE,
        sign_in,
    )


@contextmanager
def started(
    model: Path, jobs: Path, capacity: Capacity, runtime: Runtime, depth: str | None, admittance: Admittance
) -> Iterator[Started]:
    """A loaded model and its queue at work; with the block they end.

    Args:
        jobs: folder of jobs and results.
    """
    batch = capacity.batch if runtime.is_exact else 1
    own = max(capacity.queue // 2, 1) if len(set(admittance.tokens)) > 1 else None
    limits = QueueLimits(capacity.queue, capacity.keep, batch, capacity.hours * 3600, own=own)
    with only_writer(jobs):
        store = JobStore(jobs)
        loaded = VideoLM.from_pretrained(model, runtime.device, getattr(torch, runtime.dtype))
        if runtime.quantize is not None:
            quantize(loaded.lm)
        geometry, previews = _geometry(loaded, depth), Previews()
        warnings.simplefilter("ignore", Note)  # what is said of a request is told to its caller
        with closing(Intake(store.uploads)) as intake:
            reader = RequestReader(Admission(loaded, geometry is not None), intake, served_name(model))
            with JobQueue(store, ClipMaker(loaded, store, geometry, previews), limits) as queue:
                created = int((model / "config.json").stat().st_mtime)
                app = http_app(queue, reader, created, admittance)
                yield Started(app, queue, reader, previews, admittance)


def _geometry(model: VideoLM, depth: str | None) -> Geometry | None:
    """How flow and depth are found, if a task of the model is led by them; a note says what is assumed."""
    tasks = [model.config.task(name) for name in model.config.tasks]
    return geometry_for([variant for task in tasks for variant in task.variants], depth)


def server_of(
    app: object, lifespan: Literal["on", "off"] = "off", most_message: int | None = None
) -> uvicorn.Server:
    """A server for an application, with its limits.

    Args:
        lifespan: whether the application has work of its own at its start and end.
        most_message: bytes of a message of a WebSocket; None for a server without.
    """
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http="h11",
        ws="none" if most_message is None else "websockets-sansio",
        ws_max_size=most_message or 0,
        ws_per_message_deflate=False,  # a small message may hold a large one
        lifespan=lifespan,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_graceful_shutdown=_END_SECONDS,
    )
    return uvicorn.Server(config)


def served_name(model: Path) -> str:
    """What clients call a model: a packaged one's or a hub's name, or its folder's; never a path."""
    name = source_name(model)
    return Path(name).name or "model" if Path(name).is_absolute() else name


def address_of(service: Service, listener: socket.socket, admittance: Admittance) -> str:
    """Where a server answers; a note is printed if others than this machine's may ask without a token."""
    host, port = service.host, listener.getsockname()[1]
    if not host.startswith(_LOOPBACK) and not admittance.tokens:
        print("note: other machines may ask without a token (--tokens)", file=sys.stderr, flush=True)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
