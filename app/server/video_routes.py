"""/v1/videos: create, poll, list, content, delete, remix, edits, extensions, sync, cancel and events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.background import BackgroundTask

from ..jobs.job import ID, Job
from ..jobs.job_queue import JobQueue, NoSuchJob
from ..jobs.job_store import VARIANTS
from .errors import ApiError
from .fields import Fields, read_fields
from .sources import Source, sources_of
from .video_object import video_object
from .video_request import CREATE, OF_VIDEO, Ready, RequestReader

Result = TypeVar("Result")
Variant = Literal["video", "thumbnail", "spritesheet"]

_READ_AT_ONCE = 8  # requests whose media are read; others wait, and keep nobody else from an answer
_LEAST_POLL, _MOST_POLL = 200, 5000  # milliseconds
_LOOK_SECONDS = 0.1  # between two looks at a job that somebody waits for
_ALIVE_SECONDS = 15.0  # after which a silent stream says that it is still there
_OF_STEPS = {".mp4": "video/mp4", ".png": "image/png"}
_FILE_HEADERS = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


class VideoRoutes:
    """The routes of one queue.

    Args:
        allow_fetch: take http addresses of media.
        most_bytes: of a file.
    """

    def __init__(self, queue: JobQueue, reader: RequestReader, allow_fetch: bool, most_bytes: int):
        self.queue, self.reader = queue, reader
        self.allow_fetch, self.most_bytes = allow_fetch, most_bytes
        self.limiter = CapacityLimiter(_READ_AT_ONCE)
        self.router = APIRouter(prefix="/v1/videos")
        add = partial(self.router.add_api_route, response_model=None)
        add("", self.create, methods=["POST"])
        add("", self.list_jobs, methods=["GET"])
        add("/sync", self.create_and_wait, methods=["POST"])
        add("/edits", self.edit, methods=["POST"])
        add("/extensions", self.extend, methods=["POST"])
        add("/characters", self.no_characters, methods=["POST"])
        add("/characters/{name}", self.no_characters, methods=["GET"])
        add("/{video_id}", self.retrieve, methods=["GET"])
        add("/{video_id}", self.delete, methods=["DELETE"])
        add("/{video_id}/content", self.content, methods=["GET"])
        add("/{video_id}/cancel", self.cancel, methods=["POST"])
        add("/{video_id}/remix", self.remix, methods=["POST"])
        add("/{video_id}/events", self.events, methods=["GET"])

    async def create(self, request: Request) -> Response:
        return self._answer(await self._created(request, CREATE, "create"))

    async def edit(self, request: Request) -> Response:
        return self._answer(await self._created(request, OF_VIDEO, "edit"))

    async def extend(self, request: Request) -> Response:
        return self._answer(await self._created(request, OF_VIDEO, "extension"))

    async def no_characters(self) -> Response:
        raise ApiError(501, "characters are not implemented", "not_implemented")

    async def create_and_wait(self, request: Request) -> Response:
        """The film itself; its job is gone with the answer, or when the caller is gone."""
        job = await self._created(request, CREATE, "create")
        try:
            while not self._job(job.id, job.owner).is_finished:
                if await request.is_disconnected():
                    raise ApiError(499, "the caller is gone", "cancelled")
                await asyncio.sleep(_LOOK_SECONDS)
            done = self._job(job.id, job.owner)
            if done.status == "failed":
                status = 422 if done.code == "invalid_request" else 500
                raise ApiError(status, str(done.error), str(done.code))
        except BaseException:
            self._forget(job)
            raise
        after = BackgroundTask(self._forget, job)
        return self._file(done, "video", after)

    def retrieve(self, request: Request, video_id: str) -> Response:
        return self._answer(self._own(request, video_id))

    def list_jobs(
        self,
        request: Request,
        after: str | None = None,
        limit: int = Query(20, ge=1, le=100),
        order: Literal["asc", "desc"] = "desc",
    ) -> Response:
        jobs = self.queue.jobs(request.state.owner)
        jobs = jobs if order == "asc" else jobs[::-1]
        if after is not None:
            start = self._own(request, after).number
            jobs = [job for job in jobs if (job.number > start if order == "asc" else job.number < start)]
        page = [self._object(job) for job in jobs[:limit]]
        return JSONResponse(
            {
                "object": "list",
                "data": page,
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
                "has_more": len(jobs) > limit,
            }
        )

    def content(
        self, request: Request, video_id: str, variant: Variant = "video", step: str | None = None
    ) -> Response:
        job = self._own(request, video_id)
        if job.status != "completed":
            raise ApiError(400, f"the video is {job.status}; there is no content of it", "video_not_ready")
        if step is None:
            return self._file(job, variant)
        path = self.queue.store.step(job, step)
        if path is None:
            raise ApiError(404, "the video has no such step", "step_not_found", "step")
        return FileResponse(path, media_type=_OF_STEPS[path.suffix], headers=_FILE_HEADERS)

    def cancel(self, request: Request, video_id: str) -> Response:
        self._own(request, video_id)
        return self._answer(self.queue.cancel(video_id, request.state.owner))

    def delete(self, request: Request, video_id: str) -> Response:
        self._own(request, video_id)
        self.queue.delete(video_id, request.state.owner)
        return JSONResponse({"id": video_id, "object": "video.deleted", "deleted": True})

    async def remix(self, request: Request, video_id: str) -> Response:
        """The same request with another prompt: task, media, sampling and seed stay."""
        source = self._own(request, video_id)
        fields = await read_fields(request)
        fields.allow("prompt", "model")
        self.reader.check_model(fields)
        if fields.text("prompt") is None:
            raise ApiError(400, "prompt is missing", "missing_parameter", "prompt")
        if source.status != "completed":
            raise ApiError(400, f"the video is {source.status}; expected one that is completed")
        self.queue.check_room(source.owner)
        return self._answer(await self._in_thread(lambda: self._remixed(source, fields)))

    async def events(self, request: Request, video_id: str) -> Response:
        """The job as server-sent events, whenever it changes, up to its end."""
        job = self._own(request, video_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._changes(job), media_type="text/event-stream", headers=headers)

    async def _changes(self, job: Job) -> AsyncIterator[str]:
        sent, silent = None, 0.0
        while True:
            try:
                job = self._job(job.id, job.owner)
            except NoSuchJob:
                yield f'event: video.deleted\ndata: {{"id": "{job.id}"}}\n\n'
                return
            if (job.status, job.progress) != sent:
                sent, silent = (job.status, job.progress), 0.0
                yield f"event: video.{job.status}\ndata: {json.dumps(self._object(job))}\n\n"
            if job.is_finished:
                return
            await asyncio.sleep(_LOOK_SECONDS)
            silent += _LOOK_SECONDS
            if silent >= _ALIVE_SECONDS:
                silent = 0.0
                yield ": alive\n\n"

    async def _created(self, request: Request, allowed: tuple[str, ...], purpose: str) -> Job:
        self.queue.check_room(request.state.owner)
        fields = await read_fields(request)
        fields.allow(*allowed)
        self.reader.check_model(fields)
        sources = await sources_of(fields, self.allow_fetch, self.most_bytes)
        if purpose != "create":
            sources += self._results(request, fields)
        read = partial(self.reader.read, fields, sources, purpose)
        return await self._in_thread(lambda: self._submitted(read(), request.state.owner))

    def _results(self, request: Request, fields: Fields) -> list[Source]:
        """The film of an earlier job that a request names."""
        video = fields.values.get("video")
        if video is None:
            raise ApiError(400, "video is missing: a file, or the id of a completed one", param="video")
        if not isinstance(video, dict) or "id" not in video:
            return []
        job = self._own(request, video["id"])
        if job.status != "completed":
            raise ApiError(400, f"the video is {job.status}; expected one that is completed", param="video")
        return [Source("video", self.queue.store.result(job, "video"))]

    def _submitted(self, ready: Ready, owner: str, remixed_from: str | None = None) -> Job:
        size = ready.admitted.size
        return self.queue.submit(ready.request, size, ready.media, owner, ready.notes, remixed_from)

    def _remixed(self, source: Job, fields: Fields) -> Job:
        wanted = replace(source.request, text=fields.text("prompt"))
        try:
            media = self.queue.store.media(source)
        except (OSError, ValueError):
            raise NoSuchJob(source.id) from None
        try:
            admitted = self.reader.admission.check(wanted, media)
        except ValueError as error:
            raise ApiError(400, str(error).splitlines()[0]) from None
        return self._submitted(Ready(wanted, admitted, media, admitted.notes), source.owner, source.id)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await to_thread.run_sync(work, limiter=self.limiter)

    def _own(self, request: Request, name: str) -> Job:
        return self._job(name if ID.fullmatch(name) else "", request.state.owner)

    def _job(self, name: str, owner: str) -> Job:
        return self.queue.job(name, owner)

    def _forget(self, job: Job) -> None:
        try:
            self.queue.delete(job.id, job.owner)
        except NoSuchJob:
            return  # it has expired

    def _file(self, job: Job, variant: Variant, after: BackgroundTask | None = None) -> Response:
        path, kind = self.queue.store.result(job, variant), VARIANTS[variant][1]
        if not path.is_file():
            raise NoSuchJob(job.id)
        return FileResponse(path, media_type=kind, headers=_FILE_HEADERS, background=after)

    def _object(self, job: Job) -> dict[str, Any]:
        return video_object(job, self.reader.name)

    def _answer(self, job: Job) -> Response:
        """A job, with the time after which to look again."""
        wait = round(1000 * self.queue.seconds_a_job / 4)
        headers = {"openai-poll-after-ms": str(min(max(wait, _LEAST_POLL), _MOST_POLL))}
        return JSONResponse(self._object(job), headers=headers)
