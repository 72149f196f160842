"""The server of `videolm play` in a thread of its own, and a player of its WebSocket without a browser."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from job_queues import wait_until
from websockets.sync.client import connect

from videolm.app.page.sign_in import PATH
from videolm.app.play.saved_games import SavedGames
from videolm.app.play.serve_play import playing
from videolm.app.play.wire import MOST_BYTES, read_pictures
from videolm.app.play.world import World
from videolm.app.server.http_app import Admittance
from videolm.app.server.options import listening
from videolm.app.server.serve import server_of
from videolm.data.environments.record_settings import View

_SECONDS = 60


@dataclass
class PlayServer:
    """A running server.

    Args:
        address: http://127.0.0.1:PORT.
        out: folder of saved games.
    """

    address: str
    out: Path

    @contextmanager
    def player(self, **headers: str) -> Iterator["Player"]:
        """Somebody who plays; what does not come within a minute fails the test.

        Args:
            headers: of the request, such as Origin.
        """
        address = self.address.replace("http", "ws", 1) + "/play"
        options = {"additional_headers": headers, "max_size": 2**26, "open_timeout": _SECONDS, "proxy": None}
        with connect(address, **options) as socket:
            yield Player(socket)


class Player:
    """A connection.

    Attributes:
        hello: the first message.
    """

    def __init__(self, socket: Any):
        self.socket = socket
        self.hello = self.told()

    def told(self) -> dict[str, Any]:
        """The next message, of text; of pictures its header, with the frames of each side."""
        message = self.socket.recv(timeout=_SECONDS)
        if isinstance(message, str):
            return json.loads(message)
        header, frames = read_pictures(message)
        for side, own in frames.items():
            assert len(own) == header[side]["frames"]
            header[side]["frames"] = own
        return header

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        self.socket.send(json.dumps({"do": do} | values))
        return self.told()

    def play(self, seed: int, actions: list[list[int]]) -> list[dict[str, Any]]:
        """An episode from its beginning on, up to its end."""
        told = [self.ask("reset", seed=seed)]
        for action in actions:
            if all(told[-1][side] is None or told[-1][side]["end"] for side in ("dream", "real")):
                break
            told.append(self.ask("act", action=action))
        return told


def world(model: Any, starts: Any = None, environment: str | None = None, most_steps: int = 100) -> World:
    return World(model, "tiny", environment, View(), starts, most_steps)


@contextmanager
def play_server(
    played: World, out: Path, players: int = 4, keep: int = 10, **admittance: Any
) -> Iterator[PlayServer]:
    """A server.

    Args:
        admittance: fields of `Admittance`.
    """
    saved = SavedGames(out, played.space, played.sources, {"model": played.name}, keep)
    own = Admittance(sign_in=PATH, most_bytes=2**20, **admittance)
    with playing(played, saved, players, own) as app, closing(listening("127.0.0.1", 0)) as listener:
        server = server_of(app, most_message=MOST_BYTES)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        yield PlayServer(f"http://127.0.0.1:{listener.getsockname()[1]}", out)
        server.should_exit = True
        thread.join()
