"""Options of `videolm serve`, and what can be refused before anything is loaded: nothing here imports torch
or the server's packages."""

import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ...data.runtime.typed_fields import check_least

# Modules and the packages that they come in.
SERVER = {
    "fastapi": "fastapi",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
    "uvicorn": "uvicorn",
}
PLAY = {name: SERVER[name] for name in ("fastapi", "python_multipart", "uvicorn")}
PLAY |= {"websockets": "websockets"}
PAGE = SERVER | {"gradio": "gradio"}

_LEAST_LETTERS = 8  # of a token
_TOKENS_BYTES = 2**20


@dataclass(frozen=True)
class Service:
    """Where and to whom the server answers.

    Args:
        host: address to listen at; 0.0.0.0 is reached by other machines.
        port: 0 takes a free one.
        jobs: folder of jobs and results; a server that starts there goes on with them.
        tokens: file of bearer tokens, one a line; each sees its own jobs only. Without it anybody may ask.
        allow_hosts: names of this server that clients use, separated by commas, beside localhost and
            addresses.
        allow_origins: web pages of other servers that may ask, such as https://studio.example.
        allow_fetch: take http addresses of images, films and sounds too, and fetch them from the public
            internet; else data: URLs and files only.
        max_upload: megabytes (2^20) of a request.

    Raises:
        ValueError: if a value is out of its range.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    jobs: Path = Path("runs/serve")
    tokens: Path | None = None
    allow_hosts: str | None = None
    allow_origins: str | None = None
    allow_fetch: bool = False
    max_upload: int = 64

    def __post_init__(self) -> None:
        if not 0 <= self.port < 2**16:
            raise ValueError(f"port is {self.port}; expected 0 to {2**16 - 1}")
        if not 1 <= self.max_upload <= 2**14:
            raise ValueError(f"max_upload is {self.max_upload}; expected 1 to {2**14} megabytes")

    def named(self, name: str) -> tuple[str, ...]:
        """A list that is separated by commas."""
        return tuple(each.strip() for each in (getattr(self, name) or "").split(",") if each.strip())


@dataclass(frozen=True)
class Capacity:
    """How much is taken and kept.

    Args:
        queue: jobs that wait; more are refused with status 429.
        batch: jobs of one kind that are made together. With bfloat16 or int8 a clip would depend on the
            others, so each is made alone.
        keep: results; of more the oldest are removed.
        hours: that results are kept.
    """

    queue: int = 64
    batch: int = 8
    keep: int = 1000
    hours: float = 24.0

    def __post_init__(self) -> None:
        check_least(self, queue=1, batch=1, keep=1)
        if not 0 < self.hours < 1e6:
            raise ValueError(f"hours are {self.hours:g}; expected more than 0")


def check_packages(packages: dict[str, str]) -> None:
    """Raise a ValueError that says what to install if one of these packages is missing."""
    if missing := [name for module, name in packages.items() if find_spec(module) is None]:
        raise ValueError(f"serving needs {', '.join(missing)}: pip install 'videolm[app]'")


def read_tokens(path: Path) -> list[str]:
    """The tokens of a file, one a line; lines that begin with # are left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds none, or one that is too short.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of tokens {path}")
    if path.stat().st_size > _TOKENS_BYTES:
        raise ValueError(f"{path} has more than {_TOKENS_BYTES:,} bytes; expected a token a line")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    tokens = [line for line in lines if line and not line.startswith("#")]
    if not tokens:
        raise ValueError(f"{path} holds no token; expected one a line")
    if short := [number for number, each in enumerate(tokens, start=1) if len(each) < _LEAST_LETTERS]:
        raise ValueError(f"token {short[0]} of {path} has fewer than {_LEAST_LETTERS} characters")
    return tokens


def listening(host: str, port: int) -> socket.socket:
    """A socket at an address.

    Raises:
        ValueError: if there is no such address, or it is in use.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "it is no name"
        raise ValueError(f"cannot listen at {host}:{port}: {reason}") from error
    return listener
