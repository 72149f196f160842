"""An entry of a source: the file of a clip, its captions and other keys, and which part of the file it is."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from ..media.streams import Blob, MediaError, printable

VIDEO_SUFFIXES = (
    ".3gp", ".avi", ".flv", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts",
    ".webm", ".wmv",
)  # fmt: skip
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
SOUND_SUFFIXES = (".aac", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav")
# Of several files of one sample the first kind is the clip.
MEDIA_SUFFIXES = VIDEO_SUFFIXES + IMAGE_SUFFIXES + SOUND_SUFFIXES
# The key of a caption that a captioner wrote (`videolm data caption`), beside those that came with the clip.
LONG_CAPTION = "long_caption"
# What a column is called here, and elsewhere (Hugging Face's metadata.csv, WebVid, …).
_SYNONYMS = {
    "path": ("path", "file_name", "filename", "file", "video"),
    "caption": ("caption", "captions", "text"),
    "start": ("start", "start_time"),
    "end": ("end", "end_time"),
}


@dataclass(frozen=True)
class Entry:
    """One clip of a source.

    Args:
        path: its file; of what is inside another file, a name to tell it by.
        captions: texts, any of which describes it; none if it has no caption.
        start, end: the part of the file in seconds; None for its beginning or end.
        extra: whatever else its line says.
        load: reads its content, if it is not a file of its own.
        problem: why it cannot be used at all.
    """

    path: Path
    captions: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    load: Callable[[], bytes] | None = field(default=None, compare=False)
    problem: str = ""

    @property
    def name(self) -> str:
        """Tells it apart from other parts of its file."""
        return f"{self.path}@{self.start:g}" if self.start else str(self.path)

    @property
    def caption(self) -> str | None:
        """The first of the captions."""
        return self.captions[0] if self.captions else None

    def to_json(self) -> dict[str, Any]:
        """Its line of a list, the inverse of `entry_of`; the path is absolute."""
        named = {"path": str(self.path.absolute()), "caption": list(self.captions)}
        values = named | self.extra | {"start": self.start, "end": self.end}
        return {key: value for key, value in values.items() if value not in (None, [])}

    @property
    def media(self) -> Path | Blob:
        """What `read_clip` takes.

        Raises:
            MediaError: if it cannot be had.
        """
        if self.problem:
            raise MediaError(f"{printable(self.path)}: {self.problem}")
        if self.load is None:
            return self.path
        try:
            return Blob(str(self.path), self.load())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise MediaError(f"{printable(self.path)}: {reason}") from error


def entry_of(values: Mapping[str, Any], folder: Path, load: Callable[[], bytes] | None = None) -> Entry:
    """A row of a list as an entry; keys that mean nothing here are kept.

    Args:
        values: of the row. Where a key is missing, a usual synonym stands in for it.
        folder: from which the path counts.
        load: if the content is not in a file of its own.

    Raises:
        ValueError: if a value has the wrong type or makes no sense.
    """
    values = dict(values)
    _check_text(values)
    path = _take(values, "path")
    if not isinstance(path, str) or not path:
        raise ValueError(f"path is {path!r}; expected the name of a file")
    if "\0" in path:
        raise ValueError(f"path is {path!r}; a name has no zero byte")
    captions = _captions(_take(values, "caption"))
    long_caption = values.pop(LONG_CAPTION, None)
    if not isinstance(long_caption, str | None):
        raise ValueError(f"{LONG_CAPTION} is {long_caption!r}; expected a text")
    values |= {LONG_CAPTION: long_caption} if long_caption else {}
    start, end = (_seconds(name, _take(values, name)) for name in ("start", "end"))
    if end is not None and end <= (start or 0):
        raise ValueError(f"the part from {start or 0} s to {end} s is empty")
    return Entry(folder / path, captions, start, end, values, load)


def _check_text(values: Mapping[str, Any]) -> None:
    """Half a character, as in a name that is no UTF-8, fits into no file that says anything of this clip."""
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"it has {error.object[error.start]!r}, which is no character") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _take(values: dict[str, Any], key: str) -> Any:
    name = next((name for name in _SYNONYMS[key] if name in values), None)
    return None if name is None else values.pop(name)


def _captions(value: Any) -> tuple[str, ...]:
    captions = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
        raise ValueError(f"caption is {value!r}; expected a text or a list of texts")
    return tuple(captions)


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise ValueError(f"{name} is {value!r}; expected seconds")
    return float(value)
