"""The texts beside a clip, as its captions and keys.

This table from suffix to meaning is the only way they are read; above all, nothing is unpickled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..media.streams import printable
from .archives import TarMember
from .entry import Entry
from .places import Place
from .rows import entries_of
from .samples import CAPTION_SUFFIXES, suffix_of
from .text_rows import json_object

_MAX_SIDECAR_BYTES = 2**20
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def sample_entries(
    path: Path,
    sidecars: Sequence[tuple[str, Callable[[], bytes]]] = (),
    load: Callable[[], bytes] | None = None,
    extra: dict[str, Any] | None = None,
) -> list[Entry]:
    """The clips of a file with what its sidecars say about it.

    A sidecar that cannot be read makes a problem of its entry, not of the source. Captions that texts give
    take the place of those in .json files.

    Args:
        path: of the clip, or a name to tell it by.
        sidecars: their names and contents, the one that agrees best first.
        load: if the content is not in a file of its own.
        extra: what its place says, under which sidecars may say otherwise.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return [Entry(Path(printable(path)), problem="its name is not UTF-8")]
    if not sidecars:
        return [Entry(path, extra=dict(extra or {}), load=load)]
    values, captions = dict(extra or {}), []
    try:
        for name, read in reversed(sidecars):
            if suffix_of(name) in CAPTION_SUFFIXES:
                captions.insert(0, _text(read))
            else:
                values |= json_object(_text(read))
        values |= {"caption": captions} if captions else {}
        return entries_of(values | {"path": str(path)}, _Here(), load)
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return [Entry(path, load=load, problem=f"its sidecar is wrong: {reason}")]


@dataclass(frozen=True)
class SidecarFile:
    """Reads a file beside a clip, no more of it than a sidecar may hold and a byte."""

    path: Path

    def __call__(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(_MAX_SIDECAR_BYTES + 1)


class _Here(Place):
    """Paths as they are given: a sidecar's clip is known."""

    def __init__(self) -> None:
        super().__init__(Path())
        self.is_believed = True


def _text(read: Callable[[], bytes]) -> str:
    is_large = isinstance(read, TarMember) and read.size > _MAX_SIDECAR_BYTES
    data = b"" if is_large else read()
    if is_large or len(data) > _MAX_SIDECAR_BYTES:
        raise ValueError(f"it has more than {_MAX_SIDECAR_BYTES} bytes, which are all that is read")
    return data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig")
