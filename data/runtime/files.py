"""Atomic writes: files and folders that become visible whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .parsing import MOST_BYTES, bounded_text, parse_json


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` (file or folder), put in its place when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        written = holder / path.name
        yield written
        if path.is_dir() and written.is_dir():
            os.rename(path, holder / "replaced")
        os.replace(written, path)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


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
