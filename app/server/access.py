"""Who may ask, and how much: checked before a request reaches a route.

Host and Origin: a page of a stranger in the browser of the user must not reach a server on loopback, be it by
its address or by a name of its own that it lets point there (DNS rebinding). Such a request names a host that
is not ours, or comes with the page's origin.
"""

import asyncio
import hashlib
import ipaddress
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from fastapi.responses import JSONResponse, RedirectResponse, Response

from .errors import ApiError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOOPBACK = ("localhost",)
_OPEN = ("/health",)  # without a token
COOKIE = "videolm_token"  # of a browser that has signed in: the token in base64
_BODY_SECONDS = 120.0
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(?::\d{1,5})?")


class Access:
    """Refuses what may not come in, and says whose the rest is (`request.state.owner`).

    Args:
        hosts: names of this server beside localhost; addresses are always taken, since only a name can be
            rebound.
        origins: of pages of other servers that may ask, such as https://studio.example.
        tokens: of those who may ask; anybody if there are none.
        most_bytes: of the body of a request.
        sign_in: path of a page that takes the token of a browser and keeps it in a cookie; a browser without
            is sent there. Without such a page no cookie is read.
    """

    def __init__(
        self,
        app: App,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        tokens: Iterable[str] = (),
        most_bytes: int = 2**26,
        sign_in: str | None = None,
    ):
        self.app, self.most_bytes, self.sign_in = app, most_bytes, sign_in
        self.hosts = {host.lower() for host in (*_LOOPBACK, *hosts)}
        self.origins = {origin.lower().rstrip("/") for origin in origins}
        # Looked up by their hash, the time of which says nothing about a token that is nearly right.
        self.owners = {owner_of(token) for token in tokens}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        if scope["type"] not in ("http", "websocket"):
            return
        headers: dict[str, str] = {}
        try:
            headers |= _headers(scope)
            self._check_host(headers)
            self._check_origin(scope, headers)
            owner = self._owner(scope["path"], headers)
            self._check_length(headers)
        except ApiError as error:
            answer = self._refusal(scope, headers, error)
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {})["owner"] = owner
        is_socket = scope["type"] == "websocket"  # whose messages the server itself bounds
        await self.app(scope, receive if is_socket else _Bounded(receive, self.most_bytes), send)

    def _check_host(self, headers: dict[str, str]) -> None:
        match = _HOST.fullmatch(headers.get("host", ""))
        name = match[1].lower().rstrip(".") if match else ""
        if not match or not (name in self.hosts or _is_address(name.strip("[]"))):
            raise ApiError(421, "this server is not called so (Host); --allow-hosts names it", "unknown_host")

    def _check_origin(self, scope: Scope, headers: dict[str, str]) -> None:
        fetched = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
        is_of_page = self.sign_in is not None and (scope.get("method"), scope["path"]) == ("GET", "/")
        if is_of_page and fetched == ("navigate", "document"):
            return  # a link to the page, which nobody but the user sees
        origin, host = headers.get("origin"), headers.get("host", "")
        if origin is not None:
            own = {f"http://{host}".lower(), f"https://{host}".lower()}
            if origin.lower() not in own | self.origins:
                raise ApiError(403, "pages of this origin may not ask (--allow-origins)", "foreign_origin")
        elif headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise ApiError(403, "pages of other sites may not ask", "foreign_origin")

    def _owner(self, path: str, headers: dict[str, str]) -> str:
        if not self.owners or path in (*_OPEN, self.sign_in):
            return ""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if not kind and self.sign_in is not None:
            kind, token = "bearer", token_of_cookies(headers.get("cookie", ""))
        owner = owner_of(token.strip())
        if kind.lower() != "bearer" or owner not in self.owners:
            challenge = {"WWW-Authenticate": "Bearer"}
            raise ApiError(401, "a valid bearer token is needed", "invalid_api_key", headers=challenge)
        return owner

    def _refusal(self, scope: Scope, headers: dict[str, str], error: ApiError) -> Response:
        is_seen = scope.get("method") == "GET" and "text/html" in headers.get("accept", "")
        if error.status == 401 and self.sign_in is not None and is_seen:
            return RedirectResponse(self.sign_in, 303)
        return JSONResponse(error.body, error.status, error.headers)

    def _check_length(self, headers: dict[str, str]) -> None:
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            raise ApiError(400, "Content-Length is no number")
        if len(length) > 15 or int(length) > self.most_bytes:
            raise _too_large(self.most_bytes)


class _Bounded:
    """The body of a request, which ends with an error when it is too large or takes too long."""

    def __init__(self, receive: Receive, most_bytes: int):
        self.receive, self.most_bytes = receive, most_bytes
        self.received, self.is_whole = 0, False
        self.deadline = asyncio.get_running_loop().time() + _BODY_SECONDS

    async def __call__(self) -> MutableMapping[str, Any]:
        if self.is_whole:  # what follows says that the caller is gone
            return await self.receive()
        try:
            async with asyncio.timeout_at(self.deadline):
                message = await self.receive()
        except TimeoutError:
            raise ApiError(408, f"the request took more than {_BODY_SECONDS:g} s to arrive") from None
        self.received += len(message.get("body", b""))
        self.is_whole = not message.get("more_body", False)
        if self.received > self.most_bytes:
            raise _too_large(self.most_bytes)
        return message


def owner_of(token: str) -> str:
    """Hex digits that stand for a token wherever jobs are kept."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def cookie_of(token: str) -> str:
    """The value of the cookie that stands for a token."""
    return urlsafe_b64encode(token.encode()).decode()


def token_of_cookies(header: str) -> str:
    """The token in the cookies of a request; empty if there is none."""
    for each in header.split(";"):
        name, _, value = each.strip().partition("=")
        if name == COOKIE:
            try:
                return urlsafe_b64decode(value).decode()
            except ValueError:
                return ""
    return ""


def _headers(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in ("host", "origin", "authorization", "content-length") and key in headers:
            raise ApiError(400, f"the header {key} stands there twice")
        headers[key] = value.decode("latin-1")
    return headers


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"the request has more than {most:,} bytes (--max-upload)", "request_too_large")
