"""Lists that lie beside media in a folder: which of them are read, and which are only named.

captions.* and metadata.*        in any folder: they say what the clips of it are (Hugging Face's folders)
videos.txt and prompts.txt       one name and one caption a line (finetrainers)
any other table in the source    if it is the only one and names files that are there
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from ..media.streams import printable
from ..runtime.confinement import leads_out
from .listing import Listing, counted
from .samples import is_about_a_page, sort_out, suffix_of
from .scanning import Scan
from .tables import TABLE_SUFFIXES, listing_of, read_table
from .text_rows import Row, text_lines

_SUFFIXES = (".jsonl", ".csv", ".tsv", ".parquet", ".ndjson", ".json")
_WELL_KNOWN = tuple(f"{stem}{suffix}" for stem in ("captions", "metadata") for suffix in _SUFFIXES)
_OF_MEDIA = ("videos.txt", "video.txt", "images.txt", "image.txt")
_OF_CAPTIONS = ("prompts.txt", "prompt.txt", "captions.txt", "caption.txt")
_MOST_TRIED, _MOST_LOOKED_AT = 16, 64


@dataclass
class FolderLists:
    """The lists of a folder and the folders in it.

    Args:
        read: of each folder that has a list, what that says.
        files: the lists, which are no sidecars.
        notes: on those that are not read.
    """

    read: dict[Path, Listing] = field(default_factory=dict)
    files: set[Path] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def governs(self, folder: Path) -> Path | None:
        """The folder with the list that says what is in a folder."""
        return next((each for each in (folder, *folder.parents) if each in self.read), None)


def find_lists(root: Path, found: Scan) -> FolderLists:
    """The lists in a folder that has been scanned."""
    lists, others = FolderLists(), list[Path]()
    for folder, names in found.folders:
        tables = _tables(names)
        chosen = None if lists.governs(folder) else _well_known(folder, tables)
        if chosen is not None:
            used, read = chosen
            lists.files |= {folder / name for name in used}
            _take(lists, folder, used, read)
        others += [folder / name for name in sorted(tables) if suffix_of(name) != ".txt"]
    others = [path for path in others if path not in lists.files and not lists.governs(path.parent)]
    lists.files.update(others)
    _take_only(lists, root, others)
    return lists


def read_names(media: Path) -> Listing:
    """A list of names, with the captions of the file of prompts beside it if there is one.

    Raises:
        ValueError: if the two have not equally many lines, or no line names a file.
    """
    beside = [media.parent / name for name in _OF_CAPTIONS]
    beside = [path for path in beside if path.is_file() and not leads_out(path, media.parent)]
    if media.name not in _OF_MEDIA or not beside:
        return read_table(media)
    names, captions = (list(map(str.strip, text_lines(path))) for path in (media, beside[0]))
    while names and not names[-1]:
        names.pop()
    while len(captions) > len(names) and not captions[-1]:
        captions.pop()
    if len(names) != len(captions):
        raise ValueError(
            f"{media} has {len(names)} lines and {beside[0].name} {len(captions)}; expected one for each name"
        )
    rows = (
        Row(f"line {number}", {"path": name, "caption": caption})
        for number, (name, caption) in enumerate(zip(names, captions, strict=True), start=1)
        if name or caption
    )
    return listing_of(str(media), rows)


def unlisted(listing: Listing, media: Iterable[Path], place: Path) -> list[str]:
    """A note on the media beside a list that are not in it."""
    listed = {os.path.abspath(entry.path) for entry in listing.entries}
    left = [path for path in media if os.path.abspath(path) not in listed]
    return [counted(f"{place}: media files that are not in its list, left out", left)] if left else []


def _tables(names: list[str]) -> set[str]:
    """The names of tables; what lies beside a media file of its name is about that."""
    if not any(suffix_of(name) in TABLE_SUFFIXES for name in names):
        return set()
    beside = {text for texts in sort_out(names).clips.values() for text in texts}
    return {
        name for name in names if suffix_of(name) in TABLE_SUFFIXES and not is_about_a_page(name)
    } - beside


def _well_known(folder: Path, tables: set[str]) -> tuple[list[str], Callable[[], Listing]] | None:
    """The files of a list by its usual name, and what reads it."""
    for name in _WELL_KNOWN:
        if name in tables:
            return [name], partial(read_table, folder / name)
    media = next((name for name in _OF_MEDIA if name in tables), None)
    captions = next((name for name in _OF_CAPTIONS if name in tables), None)
    if media is not None and captions is not None:
        return [media, captions], partial(read_names, folder / media)
    return None


def _take(lists: FolderLists, folder: Path, used: list[str], read: Callable[[], Listing]) -> None:
    try:
        lists.read[folder] = read()
    except (ValueError, OSError) as error:
        lists.notes.append(f"{folder / used[0]} is not read: {printable(error)}")


def _take_only(lists: FolderLists, root: Path, tables: list[Path]) -> None:
    """Read another table of the source itself, if there is just one that names files that are there."""
    candidates: dict[Path, Listing] = {}
    for table in [each for each in tables if each.parent == root][:_MOST_TRIED]:
        try:
            listing = read_table(table)
        except (ValueError, OSError):
            continue
        good = (entry for entry in listing.entries if not entry.problem and entry.load is None)
        if any(os.path.exists(entry.path) for entry in islice(good, _MOST_LOOKED_AT)):
            candidates[table] = listing
    if len(candidates) == 1 and root not in lists.read:
        ((table, listing),) = candidates.items()
        listing.notes.append(f"{root}: {table.name} says what the clips are")
        lists.read[root] = listing
        lists.files.add(table)
        tables = [each for each in tables if each != table]
        candidates = {}
    if candidates:
        names = [each.name for each in candidates]
        lists.notes.append(counted(f"{root}: lists that are not read, for only one can be; name it", names))
        tables = [each for each in tables if each not in candidates]
    if tables:
        lists.notes.append(counted(f"{root}: tables that are not read as lists of clips", tables))
