"""Checksums of a folder's files, written with them and compared when they are loaded.

    record_checksums(folder)        in the end of writing it
    check_files(folder)             before what is in it is believed
    folder_digests(folder)          what it holds, wherever it is and whenever it was copied

    FOLDER/checksums.json   {"version": 1, "files": {"config.json": {"bytes": 42, "sha256": "…"}}}

A file of up to 1 GB is compared as a whole. Of a larger one 256 pieces of 64 KiB are compared ("sampled"),
its first and last bytes among them, and all of it if `verify` asks for it. What is not listed is not
compared, and a folder without the list, as earlier versions and other projects write it, is taken as it is.
Whoever changes a file on purpose removes the list.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from .files import read_object, write_json

CHECKSUMS = "checksums.json"
WHOLE_BYTES = 10**9
_PIECE_BYTES, _PIECES = 2**16, 256
_VERSION = 1


def file_hash(path: Path) -> str:
    """The SHA-256 of a file; of a folder, of the weights in it."""
    if path.is_dir():
        path = path / "model.safetensors"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_checksums(folder: Path, *names: str) -> None:
    """Write the list of a folder's files, or what these are now into the list that there is."""
    listed = _listed(folder) if names else {}
    for name in names or _files(folder):
        listed[name] = _described(folder / name)
    write_json(folder / CHECKSUMS, {"version": _VERSION, "files": listed})


def forget_checksum(folder: Path, name: str) -> None:
    """Leave a file, which is to be changed or removed, out of the list that there is."""
    listed = _listed(folder)
    if listed.pop(name, None) is not None:
        write_json(folder / CHECKSUMS, {"version": _VERSION, "files": listed})


def check_files(folder: str | Path, verify: bool = False) -> None:
    """Compare the files of a folder with its list, if it has one.

    Args:
        verify: whole files, however large they are.

    Raises:
        FileNotFoundError: if a listed file is missing.
        ValueError: if one is damaged or was changed, or the list cannot be read.
    """
    folder = Path(folder)
    for name, known in _listed(folder).items():
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(f"{folder} has no {name}, which its {CHECKSUMS} lists")
        size, difference = path.stat().st_size, ""
        kind = "sha256" if verify or size <= WHOLE_BYTES else "sampled"
        if size != known["bytes"]:
            difference = f"it has {size} bytes, and {known['bytes']} were written"
        elif _digest(path, whole=kind == "sha256") != known[kind]:
            difference = "its checksum is another"
        if difference:
            raise ValueError(
                f"{path} is damaged or was changed: {difference}. Copy or export it again, or remove "
                f"{CHECKSUMS} beside it if it was changed on purpose"
            )


def folder_digests(folder: Path) -> dict[str, str]:
    """By the names of a folder's files what they hold, as far as `check_files` compares it."""
    if not folder.is_dir():
        return {}
    return {
        name: _digest(folder / name, whole=(folder / name).stat().st_size <= WHOLE_BYTES)
        for name in _files(folder)
    }


def _files(folder: Path) -> list[str]:
    names = (path.name for path in folder.iterdir() if path.is_file())
    return sorted(name for name in names if name != CHECKSUMS and not name.startswith("."))


def _described(path: Path) -> dict[str, Any]:
    found = {"bytes": path.stat().st_size, "sha256": _digest(path, whole=True)}
    return found | ({"sampled": _digest(path, whole=False)} if found["bytes"] > WHOLE_BYTES else {})


def _listed(folder: Path) -> dict[str, Any]:
    path = folder / CHECKSUMS
    if not path.is_file():
        return {}
    stored = read_object(path)
    if stored.get("version") != _VERSION:
        raise ValueError(f"{path} has version {stored.get('version')!r}; this videolm reads {_VERSION}")
    files = stored.get("files")
    for name, known in files.items() if isinstance(files, dict) else [("files", files)]:
        known = known if isinstance(known, dict) else {}
        is_known = type(known.get("bytes")) is int and isinstance(known.get("sha256"), str)
        if not is_known or Path(name).name != name:
            raise ValueError(f"{path} is damaged: {str(known)[:60]} is no checksum of {name[:60]!r}")
        if known["bytes"] > WHOLE_BYTES and not isinstance(known.get("sampled"), str):
            raise ValueError(f"{path} is damaged: it has no sampled checksum of {name[:60]!r}")
    assert isinstance(files, dict)
    return files


def _digest(path: Path, *, whole: bool) -> str:
    status = path.stat()
    return _digest_of(path.resolve(), whole, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=256)
def _digest_of(path: Path, whole: bool, size: int, mtime_ns: int, inode: int) -> str:
    """Of a file as it is now: once for those who load it and for those who ask what was loaded."""
    if whole:
        return file_hash(path)
    with path.open("rb") as file:
        digest = hashlib.sha256()
        last = max(size - _PIECE_BYTES, 0)
        for piece in range(_PIECES):
            file.seek(last * piece // (_PIECES - 1))
            digest.update(file.read(_PIECE_BYTES))
        return digest.hexdigest()
