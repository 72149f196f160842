"""The application of play: a static page, its WebSocket and /health, behind the checks of access.py."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

from ..page.own_sources import OwnSources
from ..page.sign_in import add_sign_in
from ..server.http_app import Admittance, guarded_app
from .play_socket import PlaySocket

SOCKET = "/play"
_FOLDER = Path(__file__).parent
_FILES = {
    "/": ("play.html", "text/html; charset=utf-8"),
    "/play.js": ("play.js", "text/javascript; charset=utf-8"),
    "/play.css": ("play.css", "text/css; charset=utf-8"),
}
# The page of sign_in.py has a style in its text.
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)


def play_app(players: PlaySocket, admittance: Admittance) -> OwnSources:
    """The application of some players."""
    app = guarded_app(admittance)
    add_sign_in(app, admittance.tokens)
    for path in _FILES:
        _add_file(app, path)

    def health() -> Response:
        return JSONResponse({"status": "ok", "model": players.world.name, "players": players.players})

    app.add_api_route("/health", health, response_model=None)
    app.add_api_websocket_route(SOCKET, players.play)
    return OwnSources(app, _POLICY)


def _add_file(app: FastAPI, path: str) -> None:
    name, kind = _FILES[path]
    content = (_FOLDER / name).read_bytes()

    def answer() -> Response:
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    app.add_api_route(path, answer, methods=["GET"], response_model=None)
