"""Lists of clips with captions: captions.jsonl, one JSON object a line.

    {"path": "grid/bbaf2n.mp4", "caption": "bin blue at f two now", "start": 0.5, "end": 2, "group": "s1"}

`path` counts from the file's own folder; one that is absolute or leaves it through `..` is followed, for a
list may well stand beside the clips that somebody keeps elsewhere. `caption` is text or a list of texts
that all describe the clip, `start` and `end` are seconds; all but the path may be missing, and other
keys are kept. A folder without the list stands for every media file in it, without captions.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

MANIFEST_NAME = "captions.jsonl"
MEDIA_SUFFIXES = (
    ".3gp", ".avi", ".bmp", ".flv", ".gif", ".jpeg", ".jpg", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg",
    ".mts", ".ogv", ".png", ".ts", ".webm", ".webp", ".wmv",
)  # fmt: skip
_SHOWN_VALUES = 8


@dataclass(frozen=True)
class Entry:
    """One clip of a list.

    Args:
        path: its file.
        captions: texts, any of which describes it; none if it has no caption.
        start, end: the part of the file in seconds; None for its beginning or end.
        extra: all other keys of the line.
    """

    path: Path
    captions: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def caption(self) -> str | None:
        """The first of the captions."""
        return self.captions[0] if self.captions else None


def read_manifest(source: str | Path, where: Mapping[str, str] = MappingProxyType({})) -> list[Entry]:
    """The clips that a source names.

    Args:
        source: a .jsonl file, or a folder: with a captions.jsonl in it, or all its media files, sorted.
        where: keys and the values they must have, compared as text.

    Raises:
        FileNotFoundError: if the source is not there.
        ValueError: if a line is wrong, or nothing is left.
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f"{source} is not there; expected a folder of clips or a .jsonl file")
    if source.is_dir():
        listed = source / MANIFEST_NAME
        entries = _read_lines(listed) if listed.is_file() else _media_files(source)
    else:
        entries = _read_lines(source)
    if not entries:
        raise ValueError(f"{source} names no clips")
    chosen = [entry for entry in entries if _matches(entry, where)]
    if not chosen:
        wish = ", ".join(f"{key}={value}" for key, value in where.items())
        raise ValueError(f"{source} has no clip with {wish}; {_found(entries, where)}")
    return chosen


def _media_files(folder: Path) -> list[Entry]:
    files = (path for path in folder.rglob("*") if path.suffix.lower() in MEDIA_SUFFIXES and path.is_file())
    found = sorted(path for path in files if not path.name.startswith("."))
    if not found:
        raise ValueError(f"{folder} has neither a {MANIFEST_NAME} nor media files")
    return [Entry(path) for path in found]


def _read_lines(path: Path) -> list[Entry]:
    entries = []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file; expected one JSON object a line") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                entries.append(_entry(json.loads(line), path.parent))
            except ValueError as error:
                raise ValueError(f"{path.name} line {number}: {error}") from error
    return entries


def _entry(values: Any, folder: Path) -> Entry:
    if not isinstance(values, dict):
        raise ValueError(f'expected an object such as {{"path": "a.mp4"}}, not {values!r}')
    values = dict(values)
    path = values.pop("path", None)
    if not isinstance(path, str) or not path:
        raise ValueError(f"path is {path!r}; expected the name of a file")
    captions = _captions(values.pop("caption", None))
    start, end = (_seconds(name, values.pop(name, None)) for name in ("start", "end"))
    if end is not None and end <= (start or 0):
        raise ValueError(f"the part from {start or 0} s to {end} s is empty")
    return Entry(folder / path, captions, start, end, values)


def _captions(value: Any) -> tuple[str, ...]:
    captions = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
        raise ValueError(f"caption is {value!r}; expected a text or a list of texts")
    return tuple(captions)


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} is {value!r}; expected seconds")
    return float(value)


def _matches(entry: Entry, where: Mapping[str, str]) -> bool:
    return all(key in entry.extra and str(entry.extra[key]) == str(value) for key, value in where.items())


def _found(entries: list[Entry], where: Mapping[str, str]) -> str:
    """What the entries have under the keys that were asked for, the most frequent values first."""
    keys = sorted({key for entry in entries for key in entry.extra})
    parts = []
    for key in where:
        values = Counter(str(entry.extra[key]) for entry in entries if key in entry.extra)
        shown = [value for value, _ in values.most_common(_SHOWN_VALUES)]
        more = [f"{len(values) - len(shown)} more"] if len(values) > len(shown) else []
        parts.append(f"{key} is {', '.join(shown + more)}" if values else f"no clip has {key}, only {keys}")
    return "; ".join(parts)
