"""Where results go: checked before the work begins, so that an hour is not lost to a mistyped folder."""

from pathlib import Path

SUFFIXES = (".mp4", ".webm", ".gif", ".png", ".wav")


def check_target(path: Path) -> None:
    """Refuse a file that cannot be written.

    Raises:
        FileNotFoundError: if its folder does not exist.
        ValueError: if it is a folder or its suffix names no format.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file such as {path / 'clip.mp4'}")
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path.name} names no format; expected a suffix of {' '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} to; make it first")
