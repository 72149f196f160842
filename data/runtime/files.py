"""Atomic writes: files and folders that become visible whole or not at all, after a loss of power too.

    with replacing(out / "report.json") as temporary:
        temporary.write_text(…)

What is written stands in .NAME.xxxxxxxx/NAME, beside its place, so on the same file system; it is flushed to
the disk and takes its place in one step. The folder of a process that was killed is removed by the next one
that writes beside it.
"""

import ctypes
import errno
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from .parsing import MOST_BYTES, bounded_text, parse_json

# Not a mistake of the user's: the disk is full, a quota is used up, a file may not grow.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REPLACED = "replaced"
_LEFTOVER = re.compile(r"\.(.+)\.[a-z0-9_]{8}")  # as tempfile names them
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` (file or folder), put in its place when the block succeeds.

    Raises:
        OSError: with the name of `path`, if there is no space left for it, whichever library wrote it.
    """
    with naming_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers_once(path.parent.absolute())
        with _holder(path) as holder:
            written = holder / path.name
            yield written
            flush(written)
            _put(written, path, holder)
            _flush_one(path.parent)


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Raise whatever says that there is no space left as an OSError with the name of `path`."""
    try:
        yield
    except Exception as error:
        if (number := _no_space(error)) is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


@contextmanager
def changing(folder: Path) -> Iterator[Path]:
    """As `replacing` a folder, with what is in it: files of it are to be replaced, not written to.

    What reads the folder meanwhile finds all of the former content or all of the new one.
    """
    folder = folder.resolve()  # a link to it stays one
    with replacing(folder) as temporary:
        if folder.is_dir():
            link_tree(folder, temporary)
        else:
            temporary.mkdir()
        yield temporary


def link_tree(source: Path, target: Path) -> None:
    """Give a file, or every file of a folder, a second name; copies where the file system has no hard links.

    Locks and what killed writers left are not taken along.
    """
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link, ignore=_of_writers)
    else:
        _link(source, target)


def flush(path: Path) -> None:
    """See to it that a file, or a folder with all that is in it, outlasts a loss of power."""
    for folder, _, names in os.walk(path):
        for name in names:
            _flush_one(Path(folder, name))
        _flush_one(Path(folder))
    if not path.is_dir():
        _flush_one(path)


def remove_leftovers(folder: Path, levels: int = 0) -> list[Path]:
    """Remove what processes that were killed while they wrote left in a folder; returns that.

    A folder that was to replace another one takes its place if that is gone already: it was complete. What a
    living process writes stays. So does everything on network file systems that cannot lock folders.

    Args:
        levels: of folders below that are looked through, too.
    """
    removed = []
    if levels:
        with suppress(FileNotFoundError, PermissionError), os.scandir(folder) as entries:
            inner = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
            removed = [each for one in inner for each in remove_leftovers(one, levels - 1)]
    for entry, name in _leftovers(folder):
        with _locked(entry, wait=False) as is_ours:
            if is_ours:
                _finish(entry, folder / name)
                shutil.rmtree(entry, ignore_errors=True)
                removed.append(entry)
    return removed


def write_json(path: Path, value: Any) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path, most: int = MOST_BYTES) -> Any:
    """Parse a JSON file of at most so many bytes.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is not JSON, or out of the bounds of `parsing`.
    """
    return parse_json(bounded_text(path, most), str(path))


def read_object(path: Path) -> dict[str, Any]:
    """As `read_json`, of a file that holds an object."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds {type(value).__name__}; expected an object")
    return value


def _of_writers(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if _LEFTOVER.fullmatch(name) or name.endswith(".lock")]


def _link(source: str | Path, target: str | Path) -> str:
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copy2(source, target)
    return str(target)


def _leftovers(folder: Path) -> list[tuple[Path, str]]:
    """Folders that look like those of `replacing`, and the names of what they were to replace."""
    found = []
    with suppress(FileNotFoundError, PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            match = _LEFTOVER.fullmatch(entry.name)
            if match and entry.is_dir(follow_symlinks=False):
                with suppress(FileNotFoundError):  # its process has just ended well
                    if set(os.listdir(entry)) <= {match[1], _REPLACED}:
                        found.append((Path(entry.path), match[1]))
    return found


@lru_cache(maxsize=4096)
def _remove_leftovers_once(folder: Path) -> None:
    """Listing a folder of many files before each of them is written would take long."""
    remove_leftovers(folder)


@contextmanager
def _holder(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, locked as long as it is in use, so that nobody takes it for a leftover."""
    while True:
        holder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        with _locked(holder, wait=True):
            if not holder.is_dir():  # taken for a leftover before it was locked
                continue
            try:
                yield holder
            finally:
                shutil.rmtree(holder, ignore_errors=True)
            return


@contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Lock a folder; whether that succeeded. The lock ends with the process at the latest."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            succeeded = True
        except OSError:  # held by another process, or a file system without locks of folders
            succeeded = False
        yield succeeded
    finally:
        os.close(descriptor)


def _put(written: Path, path: Path, holder: Path) -> None:
    """Move `written` to `path`; what was there is in `holder` then, or gone."""
    is_simple = not written.is_dir() and not path.is_dir()
    if is_simple or not os.path.lexists(path):
        os.replace(written, path)
    elif not _exchange(written, path):
        # Killed here, `path` is missing; `remove_leftovers` then goes on.
        os.rename(path, holder / _REPLACED)
        os.replace(written, path)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two files or folders in one step; False where the system or the file system cannot."""
    swap = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if swap is None:
        return False
    if swap(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _finish(leftover: Path, path: Path) -> None:
    """What a process killed between its two renames had still to do."""
    if not os.path.lexists(leftover / _REPLACED) or os.path.lexists(path):
        return
    written = leftover / path.name
    os.rename(written if os.path.lexists(written) else leftover / _REPLACED, path)


def _flush_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems write folders at once and know no flushing of them.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


def _no_space(error: BaseException | None) -> int | None:
    """The number of the system's error if that is one of `NO_SPACE`, also when a library only quotes it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno if error.errno in NO_SPACE else None
        for number in NO_SPACE:
            if os.strerror(number) in str(error):
                return number
        error = error.__cause__ or error.__context__
    return None
