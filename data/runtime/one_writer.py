"""One writer at a time: a lock on an output folder, which says who holds it.

    with only_writer(out):                            # OUT/.videolm.lock
    with only_writer(out.parent, out.name):           # of a list that grows: .list.jsonl.lock beside it

The kernel ends the lock with its process, however that ends, so what a killed run left is taken over. The
lock is of the process alone: neither its forked children nor what they leave behind hold it. It is removed at
the end, and so is a folder that was made for it and stayed empty.
"""

import errno
import fcntl
import json
import os
import shlex
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .files import remove_leftovers

SUFFIX = ".lock"
_MOST_BYTES = 4096  # of what a lock file says
_LEVELS = 2  # of folders below that may hold leftovers: SHARDS/17x128x128, OUT/work/clips
_MOST_SHOWN = 160  # letters of a command in a message
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


class InUse(ValueError):
    """Another process, or another thread of this one, is writing to the folder."""


@dataclass(frozen=True)
class Writer:
    """Who holds a lock."""

    pid: int
    host: str
    command: str
    since: str

    @classmethod
    def here(cls) -> "Writer":
        program, *words = sys.argv
        command = shlex.join([Path(program).name.removesuffix(".py"), *words])
        now = datetime.now().isoformat(" ", "seconds")
        return cls(os.getpid(), socket.gethostname(), command[:_MOST_SHOWN], now)

    def __str__(self) -> str:
        text = f"process {self.pid} on {self.host}, since {self.since}: {self.command}"
        return "".join(letter if letter.isprintable() else "?" for letter in text)


@dataclass
class _Held:
    pid: int
    thread: int
    writer: Writer


# Of this process. The kernel's locks belong to a process: it would grant them to a second thread too, and
# drop them when any of several descriptors is closed. So what is held must be known here, for all threads.
_held: dict[Path, _Held] = {}
_guard = threading.Lock()


@contextmanager
def only_writer(folder: Path, name: str = "videolm") -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is missing; leftovers of killed writers are removed.

    Who holds it may take it again. A folder in which nothing can be written needs no lock, and where the file
    system has none a line on stderr says so.

    Args:
        name: of the lock: several files in a folder may each have a writer.

    Raises:
        InUse: saying who holds it.
        ValueError: if the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; expected a folder to write to")
    path = folder.resolve() / f".{name}{SUFFIX}"
    with _guard:
        held = _held.get(path)
        is_own = held is not None and (held.pid != os.getpid() or held.thread == threading.get_ident())
    if is_own:  # of a forked child: the lock of the run that it belongs to
        yield
        return
    if held is not None:
        raise InUse(_in_use(folder, held.writer))
    made = _made(folder)
    try:
        with _locked(folder, path):
            yield
    finally:
        for each in made:
            with suppress(OSError):  # it is not empty
                each.rmdir()


def is_lock(path: Path) -> bool:
    """Whether a file of an output folder is a lock."""
    return path.name.startswith(".") and path.suffix == SUFFIX


@contextmanager
def _locked(folder: Path, path: Path) -> Iterator[None]:
    descriptor = _open(folder, path)
    if descriptor is None:
        yield
        return
    writer = Writer.here()
    with _guard:
        _held[path] = _Held(os.getpid(), threading.get_ident(), writer)
    try:
        remove_leftovers(folder, _LEVELS)
        _say(descriptor, writer)
        yield
    finally:
        with _guard:
            is_owner = _held[path].pid == os.getpid()
            if is_owner:
                del _held[path]
        if is_owner:
            path.unlink(missing_ok=True)  # still locked, so it is ours
        os.close(descriptor)


def _open(folder: Path, path: Path) -> int | None:
    """A locked descriptor of a lock file; None where no lock is needed or possible."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno == errno.EROFS or not os.access(folder, os.W_OK):
                return None  # whatever writes there says what is wrong
            raise
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return descriptor
        except OSError as error:
            content = os.pread(descriptor, _MOST_BYTES, 0)
            os.close(descriptor)
            if error.errno in _NO_LOCKS:
                _warn(folder)
                return None
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise InUse(_in_use(folder, _writer(content))) from None
        os.close(descriptor)  # its holder has just removed it


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _say(descriptor: int, writer: Writer) -> None:
    with suppress(OSError):  # a full disk: the run may yet free some of it
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(writer)).encode(), 0)


def _writer(content: bytes) -> Writer | None:
    try:
        values: Any = json.loads(content)
        return Writer(**{name: values[name] for name in ("pid", "host", "command", "since")})
    except (ValueError, KeyError, TypeError):
        return None


def _in_use(folder: Path, writer: Writer | None) -> str:
    who = "another process" if writer is None else str(writer)
    return f"{folder} is being written by {who}; wait for its end or choose another folder"


def _warn(folder: Path) -> None:
    print(
        f"{folder} is on a file system without locks: nothing keeps a second run from writing there too",
        file=sys.stderr,
    )


def _made(folder: Path) -> list[Path]:
    """Make a folder and those above it that are missing; returns the new ones, the innermost first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    with suppress(PermissionError):
        folder.mkdir(parents=True, exist_ok=True)
    return missing
