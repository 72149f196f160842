"""The WebSocket of play: one game for each connection, whose actions are taken one after the other.

All games share one thread, in which the model and the environments run: a player who sends faster than the
model answers waits, and keeps nobody else from a turn.
"""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, TypeVar

from fastapi import WebSocket, WebSocketDisconnect

from .controls import controls_of
from .game import Game
from .saved_games import SavedGames
from .wire import Act, Open, Reset, Save, Wish, pictures, read_wish
from .world import World

Result = TypeVar("Result")

_MOST_A_SECOND = 100.0  # messages of a player: ten times what a keyboard sends
_SILENT_SECONDS = 600.0  # after which a place is free again
_POLICY, _TRY_LATER, _NORMAL = 1008, 1013, 1000  # reasons to close, of RFC 6455


class PlaySocket:
    """All players of a server.

    Args:
        most: players at a time.
        worker: of one thread.

    Attributes:
        players: at present.
    """

    def __init__(self, world: World, saved: SavedGames, most: int, worker: ThreadPoolExecutor):
        self.world, self.saved, self.most, self.worker = world, saved, most, worker
        self.players = 0

    async def play(self, socket: WebSocket) -> None:
        """Let one player play, until the connection ends."""
        await socket.accept()
        if self.players >= self.most:
            await _refuse(socket, f"all {self.most} places are taken (--players); try later", _TRY_LATER)
            return
        self.players += 1
        try:
            game = await self._run(self.world.game)
            try:
                await self._talk(socket, game)
            except WebSocketDisconnect:
                pass  # the player is gone
            finally:
                self.worker.submit(game.close)
        finally:
            self.players -= 1

    async def _talk(self, socket: WebSocket, game: Game) -> None:
        owner = socket.state.owner
        await socket.send_text(json.dumps(await self._run(lambda: self._hello(owner))))
        pace = _Pace(_MOST_A_SECOND, asyncio.get_running_loop().time)
        while True:
            try:
                async with asyncio.timeout(_SILENT_SECONDS):
                    text = await socket.receive_text()
            except TimeoutError:
                await _refuse(socket, f"nothing was done for {_SILENT_SECONDS / 60:g} minutes", _NORMAL)
                return
            except KeyError:  # a binary message
                await _refuse(socket, "expected a text", _POLICY)
                return
            if not pace.allows():
                await _refuse(socket, f"more than {_MOST_A_SECOND:g} messages a second", _POLICY)
                return
            answer = await self._run(lambda text=text: self._answer(text, game, owner))
            await (socket.send_bytes(answer) if isinstance(answer, bytes) else socket.send_text(answer))

    def _answer(self, text: str, game: Game, owner: str) -> bytes | str:
        try:
            return self._fulfil(read_wish(text), game, owner)
        except ValueError as error:
            return _refusal(str(error).splitlines()[0])

    def _fulfil(self, wish: Wish, game: Game, owner: str) -> bytes | str:
        match wish:
            case Reset(seed):
                return pictures("begun", seed, game.reset(seed))
            case Act(action):
                seen = game.act(action)
                assert game.seed is not None
                return pictures("acted", game.seed, seen)
            case Save():
                return _event("saved", name=self.saved.save(game, owner))
            case Open(name):
                return _event("opened", name=name, **asdict(self.saved.replay(name, owner)))

    def _hello(self, owner: str) -> dict[str, Any]:
        """What a page shows before a game begins."""
        world, clips = self.world, self.world.model.clips
        return {
            "event": "hello",
            "model": world.name,
            "environment": world.environment,
            "rate": world.space.rate,
            "size": [clips.height, clips.width],
            "stride": clips.temporal_stride,
            "most_steps": world.most_steps,
            "dimensions": [each.name for each in world.space.dimensions],
            **asdict(controls_of(world.space)),
            "saved": self.saved.names(owner),
        }

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self.worker, work)


class _Pace:
    """A second's worth of messages at once, and so many a second on the whole.

    Args:
        clock: seconds.
    """

    def __init__(self, most: float, clock: Callable[[], float]):
        self.most, self.clock = most, clock
        self.left, self.seen = most, clock()

    def allows(self) -> bool:
        now = self.clock()
        self.left = min(self.left + (now - self.seen) * self.most, self.most)
        self.seen = now
        self.left -= 1
        return self.left >= 0


async def _refuse(socket: WebSocket, message: str, code: int) -> None:
    """Say why, and close."""
    await socket.send_text(_refusal(message))
    await socket.close(code, message)


def _refusal(message: str) -> str:
    return _event("refused", message=message)


def _event(event: str, **values: Any) -> str:
    return json.dumps({"event": event} | values)
