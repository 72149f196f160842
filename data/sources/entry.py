"""An entry of a source: the file of a clip, its captions and other keys, and which part of the file it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..media.streams import Blob, MediaError, printable

VIDEO_SUFFIXES = (
    ".3gp", ".avi", ".flv", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts",
    ".webm", ".wmv",
)  # fmt: skip
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
SOUND_SUFFIXES = (".aac", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav")
MEDIA_SUFFIXES = VIDEO_SUFFIXES + IMAGE_SUFFIXES + SOUND_SUFFIXES
# The key of a caption that a captioner wrote (`videolm data caption`), beside those that came with the clip.
LONG_CAPTION = "long_caption"


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
        """Its line of a list, the inverse of `entries_of` (rows.py); the path is absolute."""
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
