"""Which files are in a folder and the folders in it, as fast as the file system tells."""

import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from ..media.streams import printable
from ..runtime.confinement import leads_out
from .entry import Entry
from .listing import counted

# What other systems leave behind beside the files that somebody meant.
LITTER = ("__MACOSX", "Thumbs.db", "desktop.ini")


@dataclass
class Scan:
    """What is in a folder.

    Args:
        folders: each folder with the names of its files, sorted; hidden ones are left out.
        followed: links to folders that were followed.
        repeated: links to folders that were read already, or contain the one that is read.
        problems: folders that cannot be read, and texts that are links out of the folder.
    """

    folders: list[tuple[Path, list[str]]] = field(default_factory=list)
    followed: list[Path] = field(default_factory=list)
    repeated: list[Path] = field(default_factory=list)
    problems: list[Entry] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        told = (
            (self.followed, "links to folders that are followed"),
            (self.repeated, "links to folders that are read already or around the source, left out"),
        )
        return [counted(what, names) for names, what in told if names]


def scan(root: Path) -> Scan:
    """All files of a folder and the folders in it.

    Links to folders are followed after everything else, each real folder once, so that a file has the name
    that needs no link if there is one, and loops end. Nothing is opened, and no file is asked for its size.
    """
    found = Scan()
    around = {_identity(each) for each in root.resolve().parents}
    seen: set[tuple[int, int]] = set()
    waiting, links = deque([root]), deque[Path]()
    while waiting or links:
        folder = waiting.popleft() if waiting else links.popleft()
        try:
            identity = _identity(folder)
            if identity in seen or identity in around:
                found.repeated.append(folder)
                continue
            names, inner, linked, links_out = _read(folder, root)
        except OSError as error:
            problem = f"the folder cannot be read ({error.strerror or error})"
            found.problems.append(Entry(Path(printable(folder)), problem=problem))
            continue
        if folder is not root and folder.is_symlink():
            found.followed.append(folder)
        seen.add(identity)
        found.problems += [
            Entry(Path(printable(folder / name)), problem="it is a link to a text outside the folder")
            for name in links_out
        ]
        found.folders.append((folder, names))
        waiting.extend(inner)
        links.extend(linked)
    found.folders.sort(key=lambda each: each[0])
    return found


def is_litter(name: str) -> bool:
    return name.startswith(".") or name in LITTER


def _read(folder: Path, root: Path) -> tuple[list[str], list[Path], list[Path], list[str]]:
    """Names of the files in a folder, its folders, its links to folders, and names of texts that are links
    out of the source."""
    names, inner, linked, out = [], [], [], []
    with os.scandir(folder) as entries:
        for each in entries:
            if is_litter(each.name):
                continue
            if each.is_dir(follow_symlinks=False):
                inner.append(folder / each.name)
            elif each.is_symlink() and os.path.isdir(each.path):
                linked.append(folder / each.name)
            elif each.is_symlink() and leads_out(folder / each.name, root):
                out.append(each.name)
            else:
                names.append(each.name)
    return sorted(names), sorted(inner), sorted(linked), sorted(out)


def _identity(folder: Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
