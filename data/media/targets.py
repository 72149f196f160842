"""Check the path of an output before the work begins, so that a mistyped name costs no hour of work."""

from collections.abc import Sequence
from pathlib import Path

from .writing import WRITABLE


def check_target(path: Path, suffixes: Sequence[str] = WRITABLE) -> None:
    """Refuse a file that cannot be written; its folder is made.

    Args:
        suffixes: of the formats that it can have, the usual one first.

    Raises:
        OSError: if its folder cannot be made.
        ValueError: if it is a folder or its suffix names no format.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file such as {path / f'name{suffixes[0]}'}")
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{path.name} names no format; expected a suffix of {' '.join(suffixes)}")
    path.parent.mkdir(parents=True, exist_ok=True)
