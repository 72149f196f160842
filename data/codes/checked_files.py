"""Which shards were compared with their checksums on this machine, so that each is read for that only once.

    CACHE/checked/<folder>.npy     a row for each shard: size, time of change, inode, start of the checksum

A worker that opens a shard for the first time reads all of it, and every worker of every process of a run
would do so again. The record is mapped by all of them: a row counts as long as the shard is the same file.
A hash of parts, as data/runtime/file_identity.py has it, is left out here: it would be read again by every
worker, and a shard that was replaced has another inode. A row that was half written matches no file.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from ..runtime.cache_folders import cache_of_codes
from ..runtime.checksums import file_hash
from ..runtime.files import replacing
from ..runtime.notes import notify


class CheckedFiles:
    """The record of a folder's shards.

    Args:
        folder: of the shards.
        count: of them.
    """

    def __init__(self, folder: Path, count: int):
        self.path, self.count = cache_of_codes() / "checked" / f"{place_name(folder)}.npy", count
        self._rows: Int64[np.ndarray, "shards 4"] | None = None

    def check(self, number: int, path: Path, expected: str) -> None:
        """Compare a shard with its checksum, if that was not done before.

        Raises:
            ValueError: if it is damaged.
        """
        state = path.stat()
        row = (state.st_size, state.st_mtime_ns, state.st_ino, int(expected[:15], 16))
        rows = self._mapped()
        if tuple(rows[number].tolist()) != row:
            refuse_damaged(path, file_hash(path), expected)
            rows[number] = row

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_rows": None}

    def _mapped(self) -> Int64[np.ndarray, "shards 4"]:
        if self._rows is None:
            self._rows = self._opened()
        return self._rows

    def _opened(self) -> Int64[np.ndarray, "shards 4"]:
        try:
            rows = np.load(self.path, mmap_mode="r+", allow_pickle=False)
            if rows.shape == (self.count, 4) and rows.dtype == np.int64:
                return rows
        except (OSError, ValueError):
            pass  # there is none yet, or it is damaged: it is made anew
        try:
            with replacing(self.path) as temporary, temporary.open("wb") as file:
                np.save(file, np.zeros((self.count, 4), np.int64))
            return np.load(self.path, mmap_mode="r+", allow_pickle=False)
        except OSError as error:
            problem = f"{self.path} cannot be written ({error.strerror})"
            notify(f"{problem}: each process compares all checksums")
            return np.zeros((self.count, 4), np.int64)


def place_name(folder: Path) -> str:
    """By what the cache calls a folder."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]


def refuse_damaged(path: Path, found: str, expected: str) -> None:
    """Raise a ValueError if a file's checksum is not that of the index."""
    if found != expected:
        raise ValueError(f"{path} is damaged: its checksum differs from the one in index.json")
