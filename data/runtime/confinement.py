"""What a list, a folder of clips or a chain may reach outside its own folder.

Texts (captions, lists) count as the source's words, so a link that takes them from elsewhere is refused: it
could show a private file of the user. Media are followed wherever a list or a link names them, for a list
may well stand beside the clips that somebody keeps elsewhere; `--confine` refuses these too.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "VIDEOLM_CONFINE"
REFUSAL = "it is outside the folder that names it, in which --confine keeps"
_TEXT_SUFFIXES = (".caption", ".cap", ".csv", ".json", ".jsonl", ".ndjson", ".tsv", ".txt")


@contextmanager
def confinement(wanted: bool) -> Iterator[None]:
    """Whether files outside are refused, in the block and in the processes that it starts; as the
    environment says if it is not wanted."""
    before = os.environ.get(VARIABLE, "")
    os.environ[VARIABLE] = "1" if wanted else before
    try:
        yield
    finally:
        os.environ[VARIABLE] = before


def is_confined() -> bool:
    return os.environ.get(VARIABLE, "") not in ("", "0")


def places_of(folder: str | Path) -> list[str]:
    """The real folders that belong to a source: its own and, of a snapshot of Hugging Face's hub, the one
    that its links lead to."""
    real = os.path.realpath(folder)
    parts = Path(real).parts
    places = [real]
    for depth, name in enumerate(parts[1:-1], start=1):
        if name == "snapshots":
            places.append(str(Path(*parts[:depth], "blobs")))
    return places


def is_inside(path: str | Path, places: Iterable[str]) -> bool:
    """Whether a file is really in one of some real folders, links followed."""
    real = os.path.realpath(path)
    return any(real == place or real.startswith(place.rstrip(os.sep) + os.sep) for place in places)


def checked(path: Path, folder: Path) -> Path:
    """A file that a text in `folder` names.

    Raises:
        ValueError: if it is outside, and that is refused.
    """
    if is_confined() and not is_inside(path, places_of(folder)):
        raise ValueError(f"{path}: {REFUSAL}")
    return path


def leads_out(link: Path, root: Path) -> bool:
    """Whether a link is a text of a source that is neither in the source nor beside the link."""
    if not link.name.lower().endswith(_TEXT_SUFFIXES):
        return False
    return not is_inside(link, [*places_of(root), *places_of(link.parent)])
