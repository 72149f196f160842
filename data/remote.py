"""Folders of shards in object storage (s3://… and all that fsspec knows), copied file by file as needed."""

import hashlib
import os
import shutil
from pathlib import Path

from .pretrained import replacing

CACHE_VARIABLE = "VIDEOLM_CACHE"


class RemoteFolder:
    """Files of a folder at an address, as local copies that stay for the next run.

    What is copied is kept under the hash of the folder's index, so codes that were encoded anew are copied
    anew. The cache is the folder that the environment's VIDEOLM_CACHE names, or ~/.cache/videolm.

    Raises:
        FileNotFoundError: if there is no such file there.
        ValueError: if fsspec does not know the kind of address, or lacks what it needs for it.
    """

    def __init__(self, address: str, index: str):
        self.address = address.rstrip("/")
        content = self._read(index)
        name = hashlib.sha256(self.address.encode() + content).hexdigest()[:16]
        cache = os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "videolm"
        self.local = Path(cache) / "shards" / name
        if not (self.local / index).is_file():
            with replacing(self.local / index) as temporary:
                temporary.write_bytes(content)

    def copy(self, name: str) -> None:
        """See to it that the local folder has a file, if the remote one has it."""
        import fsspec

        if (self.local / name).is_file():
            return
        try:
            with (
                fsspec.open(f"{self.address}/{name}", "rb") as source,
                replacing(self.local / name) as temporary,
                temporary.open("wb") as target,
            ):
                shutil.copyfileobj(source, target)
        except FileNotFoundError:
            return  # whoever reads it says what is missing

    def _read(self, name: str) -> bytes:
        import fsspec

        try:
            with fsspec.open(f"{self.address}/{name}", "rb") as file:
                return file.read()
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{self.address} has no {name}; expected a folder of codes") from error
        except ImportError as error:
            raise ValueError(f"{self.address} cannot be opened: {error}") from error


def is_address(folder: str | Path) -> bool:
    return "://" in str(folder)
