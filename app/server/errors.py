"""Errors as OpenAI's clients read them: {"error": {"message", "type", "param", "code"}}.

A message is one line for a person; none holds a traceback or a path of the server.
"""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ..jobs.intake import Unreadable
from ..jobs.job_queue import NoSuchJob, QueueFull

_FAULT = "the server failed to answer this; its log says why"
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class ApiError(Exception):
    """An answer that is an error.

    Args:
        status: of HTTP.
        message: one line.
        code: a word for programs.
        param: the field of the request that it is about.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str = "invalid_request",
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.headers = status, message, code, param, headers

    @property
    def body(self) -> dict[str, Any]:
        usual = "server_error" if self.status >= 500 else "invalid_request_error"
        kind = _TYPES.get(self.status, usual)
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": error}


def as_error(error: Exception) -> ApiError:
    """What a caller is told of an exception."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, QueueFull):
        return ApiError(429, str(error), "queue_full", headers={"Retry-After": str(error.retry_after)})
    if isinstance(error, NoSuchJob):
        return ApiError(404, "there is no such video", "video_not_found", "video_id")
    if isinstance(error, Unreadable):
        return ApiError(400, str(error), "invalid_media", str(error).partition(":")[0])
    if isinstance(error, HTTPException):
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
        headers = dict(error.headers) if error.headers else None
        return ApiError(error.status_code, str(error.detail), code, headers=headers)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        name = str(first["loc"][-1])
        return ApiError(400, f"{name}: {first['msg']}", param=name)
    return ApiError(500, _FAULT, "server_error")


def answer_errors(app: FastAPI) -> None:
    """Let an app answer every exception as an error of this shape."""
    of_callers = (ApiError, QueueFull, NoSuchJob, Unreadable, HTTPException, RequestValidationError)
    for kind in (*of_callers, Exception):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> JSONResponse:
    told = as_error(error)
    return JSONResponse(told.body, told.status, told.headers)
