"""Where the files are that a list names: beside it, or anywhere in its folder by their name or number."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from .entry import MEDIA_SUFFIXES
from .listing import counted, some_of
from .scanning import scan

# A list of which so many files running are nowhere is taken at its word.
_TRIES = 16


class Place:
    """The folder from which the paths of a list count.

    If its first files are not where the list says, they are looked for by name in the folder and the folders
    in it (OpenVid's videos are unpacked beside its list), and so is what a list names by a number only.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.is_believed, self.missed = False, 0
        self.found: list[Path] = []
        self.index: dict[str, list[Path]] | None = None

    def file(self, name: str) -> Path:
        """The file of a name, which may be missing."""
        path = self.folder / name
        if self.is_believed:
            return path
        if os.path.exists(path):
            self.is_believed = not self.found
            return path
        elsewhere = self._by_name(name.replace("\\", "/"))
        if elsewhere is not None:
            self.found.append(elsewhere)
            return elsewhere
        self.missed += 1
        self.is_believed = self.missed >= _TRIES and not self.found
        return path

    def file_of_id(self, ids: Sequence[str], within: str) -> tuple[Path, str]:
        """The media file that is called after one of some numbers, and which.

        Args:
            within: the folder that it is in, as far as the list says; "" if it does not.

        Raises:
            ValueError: if there is none, or several.
        """
        for name in ids:
            direct = self.folder / within / f"{name}.mp4"
            if within and os.path.exists(direct):
                return direct, name
            paths = [path for path in self._known().get(name, ()) if _ends(path.parent, within)]
            if len(paths) == 1:
                return paths[0], name
            if paths:
                raise ValueError(f"several files are called {name}: {some_of(paths)}")
        wanted = PurePosixPath(within, f"{ids[0]}.mp4")
        raise ValueError(f"there is no {wanted} in {self.folder}, nor a file of that name in another format")

    @property
    def notes(self) -> list[str]:
        if not self.found:
            return []
        return [counted(f"{self.folder}: files found by their names in other folders", self.found)]

    def _by_name(self, name: str) -> Path | None:
        stem, _ = os.path.splitext(PurePosixPath(name).name)
        paths = [path for path in self._known().get(stem, ()) if _ends(path, name)]
        return paths[0] if len(paths) == 1 else None

    def _known(self) -> dict[str, list[Path]]:
        """All media files in the folder by their stems."""
        if self.index is None:
            self.index = {}
            for folder, names in scan(self.folder).folders:
                for name in names:
                    stem, suffix = os.path.splitext(name)
                    if suffix.lower() in MEDIA_SUFFIXES:
                        self.index.setdefault(stem, []).append(folder / name)
        return self.index


def _ends(path: Path, end: str) -> bool:
    parts = PurePosixPath(end).parts
    return not parts or path.parts[-len(parts) :] == parts
