"""Hostile players: strangers' pages do not come in, and what is sent is refused or ends the connection."""

import json
import random
import re
import socket

import httpx
import pytest
import torch
from damage import damaged
from job_queues import wait_until
from play_server import play_server, world
from tiny_world import world_model
from websockets.exceptions import ConnectionClosed, InvalidStatus

from videolm.app.play import play_socket
from videolm.app.play.wire import MOST_BYTES
from videolm.generation.world.context import Context


@pytest.fixture(scope="module")
def played():
    model = world_model(temporal_stride=1)
    return world(model, [Context.first(torch.zeros((1, 1, 2), dtype=torch.int64), 1)])


@pytest.fixture(scope="module")
def server(played, tmp_path_factory):
    with play_server(played, tmp_path_factory.mktemp("games")) as started:
        yield started


def refused(server, **headers) -> int:
    """The status with which a connection is refused."""
    with pytest.raises(InvalidStatus) as error, server.player(**headers):
        pass
    body = json.loads(error.value.response.body)
    assert body["error"].keys() == {"message", "type", "param", "code"}
    return error.value.response.status_code


@pytest.mark.parametrize("origin", ["https://evil.org", "null", "http://127.0.0.1.evil.org"])
def test_pages_of_other_origins_do_not_play(server, origin):
    assert refused(server, Origin=origin) == 403


def test_a_name_that_is_rebound_to_this_server_is_refused(server):
    address = server.address.removeprefix("http://")
    asked = "GET /play HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    asked += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(asked.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 421")
    assert httpx.get(server.address, headers={"Host": "evil.example"}, trust_env=False).status_code == 421


def test_the_page_itself_may_play_and_a_socket_elsewhere_is_none(server):
    with server.player(Origin=server.address) as player:
        assert player.hello["event"] == "hello"
    assert httpx.get(f"{server.address}/play", trust_env=False).status_code == 404


def test_the_page_loads_nothing_from_elsewhere_and_stands_in_no_frame(server):
    answer = httpx.get(server.address, trust_env=False)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "eval" not in policy
    for name in ("", "play.js", "play.css"):
        text = httpx.get(f"{server.address}/{name}", trust_env=False).text
        assert text and "http://" not in text and "https://" not in text


def test_with_tokens_each_player_sees_the_own_games_only(played, tmp_path):
    tokens = ("token-of-anna", "token-of-bert")
    anna, bert = ({"Authorization": f"Bearer {each}"} for each in tokens)
    with play_server(played, tmp_path, tokens=tokens) as server:
        assert refused(server) == 401 and refused(server, Authorization="Bearer wrong") == 401
        page = httpx.get(server.address, headers={"Accept": "text/html"}, trust_env=False)
        assert page.status_code == 303 and page.headers["location"] == "/sign-in"
        with server.player(**anna) as player:
            player.play(0, [[1]])
            name = player.ask("save")["name"]
        with server.player(**bert) as player:
            assert player.hello["saved"] == [] and "no such game" in player.ask("open", name=name)["message"]
        with server.player(**anna) as player:
            assert player.hello["saved"] == [name]
        with httpx.Client(base_url=server.address, trust_env=False) as client:  # a browser, by a cookie
            client.post("/sign-in", data={"token": tokens[0]})
            cookie = "; ".join(f"{each}={value}" for each, value in client.cookies.items())
        with server.player(Cookie=cookie) as player:
            assert player.hello["saved"] == [name]
        assert not [path for path in tmp_path.rglob("*") if "anna" in str(path)]


def test_there_are_places_for_so_many_players(played, tmp_path):
    with play_server(played, tmp_path, players=1) as server:
        with server.player(), server.player() as second:
            assert "all 1 places are taken" in second.hello["message"]
            with pytest.raises(ConnectionClosed) as error:
                second.told()
            assert error.value.rcvd.code == 1013
        wait_until(lambda: httpx.get(f"{server.address}/health", trust_env=False).json()["players"] == 0)
        with server.player() as third:
            assert third.hello["event"] == "hello"


@pytest.mark.parametrize(
    ("message", "code"), [("x" * (MOST_BYTES + 1), 1009), (b"bytes", 1008)], ids=["large", "bytes"]
)
def test_what_is_no_message_ends_the_connection(server, message, code):
    with server.player() as player:
        player.socket.send(message)
        with pytest.raises(ConnectionClosed) as error:
            for _ in range(3):
                player.told()
        assert error.value.rcvd.code == code


def test_whoever_does_nothing_gives_the_place_free(server, monkeypatch):
    monkeypatch.setattr(play_socket, "_SILENT_SECONDS", 0.1)
    with server.player() as player:
        assert "nothing was done" in player.told()["message"]
        with pytest.raises(ConnectionClosed):
            player.told()


def test_whoever_sends_too_fast_is_shown_out(server):
    with server.player() as player, pytest.raises(ConnectionClosed) as error:
        for _ in range(300):
            player.socket.send("{}")
        for _ in range(300):
            player.told()
    assert error.value.rcvd is None or error.value.rcvd.code == 1008


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", "no valid JSON|not valid JSON"),
        ("[1]", "expected an object"),
        ('{"do": "fly"}', "expected one of reset, act, save, open"),
        ('{"do": "reset"}', "lacks seed"),
        ('{"do": "reset", "seed": -1}', "expected 0 to"),
        ('{"do": "reset", "seed": 99999999999999999999}', "expected 0 to"),
        ('{"do": "reset", "seed": 1.5}', "expected a whole number"),
        ('{"do": "act", "action": [3]}', "expected a code from 0 to 2"),
        ('{"do": "act", "action": [99999999999999999999]}', "expected a code from 0 to 2"),
        ('{"do": "act", "action": [1, 1]}', "has 2 codes; expected 1"),
        ('{"do": "act", "action": "left"}', "expected a list"),
        ('{"do": "open", "name": "../../etc/passwd"}', "no such game"),
        ('{"do": "save", "path": "x"}', "unknown settings"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_in_one_line(server, message, words):
    with server.player() as player:
        player.ask("reset", seed=1)
        player.socket.send(message)
        told = player.told()
        assert told["event"] == "refused"
        assert "\n" not in told["message"] and re.search(words, told["message"]), told["message"]
        assert player.ask("reset", seed=1)["event"] == "begun"


def test_malformed_messages_leave_the_server_alive(server, capfd):
    right = [b'{"do": "reset", "seed": 7}', b'{"do": "act", "action": [2]}', b'{"do": "open", "name": "x"}']
    answered = 0
    for number in range(60):
        chance = random.Random(number)
        message = damaged(chance.choice(right), chance).decode("utf-8", errors="replace")
        with server.player() as player:
            player.socket.send(message[:MOST_BYTES])
            answered += player.told()["event"] in ("refused", "begun", "acted")
    assert answered == 60
    assert "Traceback" not in capfd.readouterr().err
