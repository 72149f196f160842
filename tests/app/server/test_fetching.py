"""Addresses that a caller gives: only the public internet is asked, at the address that was checked."""

import asyncio
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from videolm.app.server import fetching
from videolm.app.server.errors import ApiError
from videolm.app.server.fetching import fetch, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
        "224.0.0.1", "255.255.255.255", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1",
        "::ffff:8.8.8.8", "64:ff9b::a00:1", "2002:a00:1::", "::", "ff02::1", "no address",
    ],
)  # fmt: skip
def test_addresses_of_private_networks_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"])
def test_others_are_public(address):
    assert is_public(address)


class Handler(BaseHTTPRequestHandler):
    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Host"]))
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        content = b"x" * int(self.path.removeprefix("/"))
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def web(monkeypatch):
    """A server on loopback that stands for the public host files.example; every other name is looked up as
    `names` says. Returns its port, and what it was asked."""
    asked: list[tuple[str, str]] = []
    handler = type("Own", (Handler,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    names = {"files.example": ["127.0.0.1"], "inside.example": ["10.1.2.3"]}
    names["mixed.example"] = ["127.0.0.1", "::1"]

    async def look_up(loop, host, port, **options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in names.get(host, [host])]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)
    monkeypatch.setattr(fetching, "is_public", lambda address: address == "127.0.0.1")
    yield server.server_port, asked
    server.shutdown()
    server.server_close()


def fetched(address: str, most: int = 1000) -> bytes:
    return asyncio.run(fetch(address, "input_reference", most))


def test_a_public_file_is_fetched_from_the_address_that_was_checked(web):
    port, asked = web
    assert fetched(f"http://files.example:{port}/42") == b"x" * 42
    assert asked == [("/42", f"files.example:{port}")]
    assert fetched(f"http://files.example:{port}/to/http://files.example:{port}/7") == b"x" * 7


@pytest.mark.parametrize(
    "address",
    [
        "http://inside.example/x", "http://mixed.example/x", "http://10.0.0.1/x", "http://[::1]/x",
        "http://files.example:PORT/to/http://inside.example/1", "http://files.example:PORT/to/file:///etc/x",
        "http://files.example:PORT/to//to//to//to/1", "http://files.example:PORT/1001",
        "http://user:word@files.example:PORT/1", "ftp://files.example/1", "file:///etc/passwd", "//x.example",
        "http://", "http://files.example:99999/1", "http://files.example:PORT/\u2603", "http://[::1",
    ],
)  # fmt: skip
def test_everything_else_is_refused_in_one_line(address, web):
    port, asked = web
    with pytest.raises(ApiError) as refused:
        fetched(address.replace("PORT", str(port)))
    assert refused.value.status == 400 and refused.value.param == "input_reference"
    assert not [host for _, host in asked if "inside" in host]
