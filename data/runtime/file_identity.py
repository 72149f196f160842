"""Whether a file is still the file that it was: the one rule for everything that is kept about files.

    identity = identify_file(path)              # kept beside what was made of the file
    if not is_same_file(path, identity):
        make_again()

A file is the same if its size, the time of its last change (in nanoseconds) and a SHA-256 are the same. The
hash is of the whole file if that is under 16 MB or `verify` asks for it, else of its first, middle and last
64 KiB: enough to notice a file that was replaced, in milliseconds whatever its size.
"""

import hashlib
import os
import re
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

_PART_BYTES = 2**16
_WHOLE_BELOW_BYTES = 16 * 10**6
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileIdentity:
    """What a file is recognised by.

    Args:
        size: in bytes.
        mtime_ns: time of its last change, in nanoseconds.
        sha256: hex digits, of all of it or of its parts.
        whole: whether the hash is of all of it.
    """

    size: int
    mtime_ns: int
    sha256: str
    whole: bool

    def to_json(self) -> list[Any]:
        return list(astuple(self))

    @classmethod
    def from_json(cls, values: Any) -> "FileIdentity":
        """The inverse of `to_json`.

        Raises:
            ValueError: if the values are not those of an identity.
        """
        kinds = (int, int, str, bool)
        if not isinstance(values, list) or [type(value) for value in values] != [*kinds]:
            raise ValueError(f"{values!r} is no identity of a file")
        if values[0] < 0 or not _DIGEST.fullmatch(values[2]):
            raise ValueError(f"{values!r} is no identity of a file")
        return cls(*values)


def identify_file(path: Path, verify: bool = False) -> FileIdentity:
    """The identity of a file as it is now.

    Args:
        verify: hash all of it, however large it is.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        whole = verify or status.st_size < _WHOLE_BELOW_BYTES
        if whole:
            digest = hashlib.file_digest(file, "sha256")
        else:
            digest = hashlib.sha256()
            last = status.st_size - _PART_BYTES
            for start in (0, last // 2, last):
                file.seek(start)
                digest.update(file.read(_PART_BYTES))
        return FileIdentity(status.st_size, status.st_mtime_ns, digest.hexdigest(), whole)


def is_same_file(path: Path, known: FileIdentity, verify: bool = False) -> bool:
    """Whether a file is the one that had this identity; a file that cannot be read is not.

    Args:
        verify: compare all of it. Of a large file whose known identity is of its parts the answer is no, so
            that what is kept of it is made again, with an identity of all of it.
    """
    try:
        status = path.stat()
        if (status.st_size, status.st_mtime_ns) != (known.size, known.mtime_ns):
            return False
        return identify_file(path, verify or known.whole) == known
    except OSError:
        return False
