"""Folders of media files, each with its sidecars, and in class folders (UCF-101) with the class as a key.

UCF-101/Archery/v_Archery_g01_c02.avi      {"class": "Archery", "group": "g01"}
"""

import re
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

from .listing import Listing
from .samples import Samples, sort_out
from .scanning import Scan
from .sidecars import SidecarFile, sample_entries

_UCF_GROUP = re.compile(r"v_.+_(g\d\d)_c\d\d\.\w+", re.IGNORECASE)


def read_folder(root: Path, found: Scan, lists: Set[Path] = frozenset()) -> Listing:
    """All media files of a folder and the folders in it, sorted by name.

    A sound beside a video or an image of the same name belongs to that and is no clip of its own, and so
    does a picture beside a video; both are counted in a note. The folder that a file is in is its "class".

    Args:
        found: what is in the folder.
        lists: files that are no sidecars.
    """
    listing, whole = Listing(list(found.problems), list(found.notes)), Samples()
    for folder, names in found.folders:
        samples = sort_out(name for name in names if not lists or folder / name not in lists)
        whole.add(samples, "" if folder == root else f"{folder.relative_to(root)}/")
        for name, sidecars in samples.clips.items():
            read = [(each, SidecarFile(folder / each)) for each in sidecars]
            listing.entries += sample_entries(folder / name, read, extra=_keys(root, folder, name))
    listing.entries.sort(key=lambda entry: entry.path)
    listing.notes += whole.notes(root)
    return listing


def clips_in(found: Scan) -> Iterator[Path]:
    """The media files of a folder that are clips of their own."""
    return (folder / name for folder, names in found.folders for name in sort_out(names).clips)


def _keys(root: Path, folder: Path, name: str) -> dict[str, Any]:
    """What the place of a file says of it."""
    keys = {} if folder == root else {"class": folder.name}
    group = _UCF_GROUP.fullmatch(name)
    return keys | ({"group": group[1].lower()} if group else {})
