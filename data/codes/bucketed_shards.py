"""Codes of clips of several sizes: a folder of shards for each size, listed in buckets.json.

    SHARDS/buckets.json      {"buckets": ["17x128x128", "17x128x224", "1x128x128"]}
           17x128x128/       shards of this size (shards.py), and so on
"""

import re
from collections.abc import Sequence
from pathlib import Path

from ..runtime.files import read_json, write_json
from ..runtime.remote import RemoteFolder, is_address
from .clip_format import SIZE_FIELDS
from .shards import ShardReader

_INDEX, _SHARDS = "buckets.json", "index.json"
_NAME = re.compile(r"\d+x\d+x\d+")


def write_buckets(folder: Path, names: Sequence[str]) -> None:
    """Say which sizes a folder holds: names of `ClipFormat.name`."""
    write_json(folder / _INDEX, {"buckets": names})


def holds_shards(folder: Path) -> bool:
    """Whether there are shards in a folder, of one size or several."""
    return any((folder / name).is_file() for name in (_INDEX, _SHARDS))


def read_shards(folder: str | Path) -> list[ShardReader]:
    """The shards of each size that has clips; one of a folder that has a single size.

    Args:
        folder: of `videolm encode`, or its address in object storage.

    Raises:
        FileNotFoundError: if the folder or a part of it is missing.
        ValueError: if a part cannot be read, no size has clips, or sizes differ in more than that.
    """
    names = _names(folder)
    if names is None:
        return [ShardReader(folder)]
    readers = [ShardReader(f"{str(folder).rstrip('/')}/{name}") for name in names]
    found = [reader for reader in readers if len(reader)]
    if not found:
        raise ValueError(f"{folder} holds no clips; expected some in one of {', '.join(names)}")
    for reader in found[1:]:
        if difference := found[0].clips.differences(reader.clips, besides=SIZE_FIELDS):
            raise ValueError(
                f"{folder}: {found[0].clips.name} and {reader.clips.name} differ in more than their size "
                f"({difference}); encode the clips again"
            )
    return found


def _names(folder: str | Path) -> list[str] | None:
    """Of the sizes; None of a folder of shards of one."""
    if is_address(folder):
        try:
            path = RemoteFolder(str(folder), _INDEX).local / _INDEX
        except FileNotFoundError:
            return None
    else:
        path = Path(folder) / _INDEX
        if not path.is_file():
            return None
        if (path.parent / _SHARDS).is_file():
            raise ValueError(
                f"{folder} holds shards of its own ({_SHARDS}) beside folders of several sizes ({_INDEX}); "
                "remove what is not meant"
            )
    stored = read_json(path)
    names = stored.get("buckets") if isinstance(stored, dict) else None
    if not isinstance(names, list) or not names or not all(_NAME.fullmatch(str(name)) for name in names):
        raise ValueError(f"{path} is damaged: expected a list of sizes such as 17x128x128 as its buckets")
    return names
