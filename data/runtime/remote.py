"""Remote files (s3://… and all that fsspec knows), and remote folders of shards with a local cache."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from .cache_folders import cache_of_codes
from .files import replacing


class RemoteFolder:
    """Files of a folder at an address, as local copies that stay for the next run.

    What is copied is kept under the hash of the folder's index, so codes that were encoded anew are copied
    anew. The cache is the folder that the environment's VIDEOLM_CACHE names, or videolm in `user_cache`.

    Raises:
        FileNotFoundError: if there is no such file there.
        ValueError: if fsspec does not know the kind of address, or lacks what it needs for it.
    """

    def __init__(self, address: str, index: str):
        self.address = address.rstrip("/")
        content = self._read(index)
        name = hashlib.sha256(self.address.encode() + content).hexdigest()[:16]
        self.local = cache_of_codes() / "shards" / name
        if not (self.local / index).is_file():
            with replacing(self.local / index) as temporary:
                temporary.write_bytes(content)

    def copy(self, name: str) -> None:
        """See to it that the local folder has a file, if the remote one has it."""
        if (self.local / name).is_file():
            return
        try:
            with (
                open_file(f"{self.address}/{name}") as source,
                replacing(self.local / name) as temporary,
                temporary.open("wb") as target,
            ):
                shutil.copyfileobj(source, target)
        except FileNotFoundError:
            return  # whoever reads it says what is missing

    def _read(self, name: str) -> bytes:
        try:
            with open_file(f"{self.address}/{name}") as file:
                return file.read()
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{self.address} has no {name}; expected a folder of codes") from error


def is_address(name: str | Path) -> bool:
    return "://" in str(name)


@contextmanager
def open_file(name: str) -> Iterator[IO[bytes]]:
    """A file on disk or at an address, to be read where it is.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if fsspec does not know the kind of address, or lacks what it needs for it.
    """
    if not is_address(name):
        with open(name, "rb") as file:
            yield file
        return
    import fsspec

    try:
        opening = fsspec.open(name, "rb")
    except ImportError as error:
        raise ValueError(f"{name} cannot be opened: {error}") from error
    with opening as file:
        yield cast(IO[bytes], file)
