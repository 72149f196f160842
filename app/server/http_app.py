"""The FastAPI application: /v1/videos, /v1/models, /health and /metrics behind the checks of access.py."""

from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

from ..jobs.job_queue import JobQueue
from .access import Access
from .errors import ApiError, answer_errors
from .metrics import QueueMetrics
from .video_request import RequestReader
from .video_routes import VideoRoutes

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Admittance:
    """Who may ask for what.

    Args:
        hosts, origins, tokens: as of `Access`.
        allow_fetch: take http addresses of media.
        most_bytes: of a request.
        sign_in: as of `Access`.
    """

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    allow_fetch: bool = False
    most_bytes: int = 64 * MEBIBYTE
    sign_in: str | None = None


def guarded_app(admittance: Admittance) -> FastAPI:
    """An application without routes, behind the checks of access.py."""
    # No pages of documentation: they would load scripts from elsewhere.
    app = FastAPI(title="videolm", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    answer_errors(app)
    app.add_middleware(
        Access,
        hosts=admittance.hosts,
        origins=admittance.origins,
        tokens=admittance.tokens,
        most_bytes=admittance.most_bytes,
        sign_in=admittance.sign_in,
    )
    return app


def http_app(queue: JobQueue, reader: RequestReader, created: int, admittance: Admittance) -> FastAPI:
    """The application of a queue.

    Args:
        created: seconds since 1970 that the model is said to be of.
    """
    app = guarded_app(admittance)
    service = _Service(queue, reader.name, created)
    app.include_router(VideoRoutes(queue, reader, admittance.allow_fetch, admittance.most_bytes).router)
    app.add_api_route("/v1/models", service.models, response_model=None)
    app.add_api_route("/v1/models/{name:path}", service.one_model, response_model=None)
    app.add_api_route("/health", service.health, response_model=None)
    app.add_api_route("/metrics", service.metrics, response_model=None)
    return app


class _Service:
    """What is known of the server itself."""

    def __init__(self, queue: JobQueue, name: str, created: int):
        self.queue, self.numbers = queue, QueueMetrics(queue)
        self.model = {"id": name, "object": "model", "created": created, "owned_by": "videolm"}

    def models(self) -> Response:
        return JSONResponse({"object": "list", "data": [self.model]})

    def one_model(self, name: str) -> Response:
        if name != self.model["id"]:
            message = f"there is no such model; this server has {self.model['id']}"
            raise ApiError(404, message, "model_not_found")
        return JSONResponse(self.model)

    def health(self) -> Response:
        counts = {"waiting": self.queue.num_waiting, "running": self.queue.num_running}
        return JSONResponse({"status": "ok", "model": self.model["id"]} | counts)

    def metrics(self) -> Response:
        return Response(self.numbers.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
