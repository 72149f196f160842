"""Tar files, also compressed ones: their members by position, whatever else is wrong with them.

A member of a plain tar is read at its place. A compressed tar has no places: it is unpacked from its
beginning up to a member, once if members are asked for in their order (each process keeps where it is), again
and again if not. So `encode` and `data inspect` cost little more, random draws of training cost much: unpack
it for these.
"""

import bz2
import gzip
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..runtime.remote import open_file

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
_OPENERS = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
# What damaged archives and streams raise.
DAMAGE = (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class TarMember:
    """The content of one member."""

    tar: str
    offset: int
    size: int
    is_compressed: bool = False

    def __call__(self) -> bytes:
        try:
            if self.is_compressed:
                data = _read_unpacked(self.tar, self.offset, self.size)
            else:
                with open_file(self.tar) as file:
                    file.seek(self.offset)
                    data = file.read(self.size)
        except (EOFError, zlib.error, lzma.LZMAError) as error:
            raise OSError(f"the tar is damaged ({error})") from error
        if len(data) != self.size:
            raise OSError(f"the tar ends inside it, after {len(data)} of {self.size} bytes")
        return data


@contextmanager
def open_unpacked(tar: str) -> Iterator[tuple[Any, bool]]:
    """A tar as a file in which one can seek, and whether it is compressed.

    Raises:
        ValueError: if it is compressed in a way that Python does not know.
    """
    with open_file(tar) as file:
        head = file.read(6)
        file.seek(0)
        if head.startswith(_ZSTANDARD):
            raise ValueError("it is compressed by Zstandard; unpack it first: zstd -d")
        opener = next((each for start, each in _OPENERS.items() if head.startswith(start)), None)
        if opener is None:
            yield file, False
            return
        with opener(file) as unpacked:
            yield unpacked, True


def members_of(file: Any) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, and of further ones that are joined to it (cat a.tar b.tar).

    Raises:
        DAMAGE: where the archive is damaged or cut off; what comes before has been given.
    """
    position, begin = -1, 0
    while begin is not None:
        file.seek(begin)
        with tarfile.open(fileobj=file, mode="r:") as archive:
            while (member := archive.next()) is not None:
                # A damaged or hostile header must not send the reader back to where it has been.
                if member.offset <= position or member.size < 0:
                    raise tarfile.ReadError("its members overlap")
                position = member.offset
                # They would pile up, a million in a large shard. The attribute is not in typeshed.
                archive.members = []  # pyright: ignore[reportAttributeAccessIssue]
                yield member
            begin = _next_archive(file, archive.offset)


def _next_archive(file: Any, end: int) -> int | None:
    """Where another archive begins behind the mark of the end of one; None if there is none.

    Raises:
        ReadError: if there is no mark at the end.
    """
    file.seek(end)
    block = file.read(tarfile.BLOCKSIZE)
    if not block:
        raise tarfile.ReadError("it has no mark of its end; members may be missing")
    while block and not any(block):
        end += len(block)
        block = file.read(tarfile.BLOCKSIZE)
    if not block:
        return None
    try:
        tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")
    except tarfile.HeaderError as error:
        raise tarfile.ReadError(f"what follows byte {end} is not read: {error}") from error
    return end


def _read_unpacked(tar: str, offset: int, size: int) -> bytes:
    _, file = _kept_open(tar, os.getpid())
    file.seek(offset)
    return file.read(size)


@lru_cache(maxsize=2)
def _kept_open(tar: str, process: int) -> tuple[ExitStack, Any]:
    """A compressed tar, which keeps its place for the next member; after a fork a process opens its own."""
    stack = ExitStack()
    file, _ = stack.enter_context(open_unpacked(tar))
    return stack, file
