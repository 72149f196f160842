"""Samples that consist of several files of one name, in folders and WebDataset tars.

    0001.mp4  the clip         0001.txt   its caption         0001.json  {"caption": …, "start": …, anything}

This table from suffix to meaning is the only way parts are read; above all, nothing is unpickled.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..media.streams import printable
from .entry import MEDIA_SUFFIXES, Entry, entry_of
from .tables import json_object

CAPTION_SUFFIXES = (".txt", ".caption", ".cap")
VALUE_SUFFIXES = (".json",)
SIDECAR_SUFFIXES = CAPTION_SUFFIXES + VALUE_SUFFIXES
_MAX_SIDECAR_BYTES = 2**20


def sample_entry(
    path: Path, sidecars: Mapping[str, Callable[[], bytes]], load: Callable[[], bytes] | None = None
) -> Entry:
    """The entry of a clip with what its sidecars, by suffix, say about it.

    A sidecar that cannot be read makes a problem of its entry, not of the source.
    """
    values: dict[str, Any] = {}
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return Entry(Path(printable(path)), problem="its name is not UTF-8")
    try:
        for suffix in (each for each in VALUE_SUFFIXES if each in sidecars):
            values |= json_object(_text(sidecars[suffix]))
        for suffix in (each for each in CAPTION_SUFFIXES if each in sidecars):
            values |= {"caption": _text(sidecars[suffix]).strip()}
        return entry_of(values | {"path": str(path)}, Path(), load)
    except (ValueError, OSError) as error:
        return Entry(path, load=load, problem=f"its sidecar is wrong: {str(error) or type(error).__name__}")


def kind_rank(suffix: str) -> int:
    """Videos before images before sounds."""
    return MEDIA_SUFFIXES.index(suffix)


def _text(read: Callable[[], bytes]) -> str:
    data = read()
    if len(data) > _MAX_SIDECAR_BYTES:
        raise ValueError(f"it has {len(data)} bytes; at most {_MAX_SIDECAR_BYTES} are read")
    return data.decode("utf-8-sig")
