"""Folders of media files, each with its sidecars: the .txt and .json files of the same name."""

from pathlib import Path

from .entry import MEDIA_SUFFIXES, SOUND_SUFFIXES, Entry
from .sidecars import SIDECAR_SUFFIXES, sample_entry


def read_folder(folder: Path) -> list[Entry]:
    """All media files of a folder and the folders in it, sorted by name.

    A sound beside a video or an image of the same name belongs to that and is no clip of its own. Hidden
    files and folders are left out, and links to folders are not followed.
    """
    groups: dict[Path, list[Path]] = {}
    for path in folder.rglob("*"):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        # A name of a clip that is no file, such as a link to nothing, is left to be named when it is read.
        is_clip = path.suffix.lower() in MEDIA_SUFFIXES and not path.is_dir()
        is_sidecar = path.suffix.lower() in SIDECAR_SUFFIXES and path.is_file()
        if not is_hidden and (is_clip or is_sidecar):
            groups.setdefault(path.with_suffix(""), []).append(path)
    entries = [entry for name in groups for entry in _entries(groups[name])]
    return sorted(entries, key=lambda entry: entry.path)


def _entries(paths: list[Path]) -> list[Entry]:
    media = [path for path in paths if path.suffix.lower() in MEDIA_SUFFIXES]
    pictures = [path for path in media if path.suffix.lower() not in SOUND_SUFFIXES]
    sidecars = {path.suffix.lower(): path.read_bytes for path in paths if path not in media}
    return [sample_entry(path, sidecars) for path in pictures or media]
