"""index.json of a folder of codes, and the records of its shards, checked before they are believed."""

import re
from pathlib import Path
from typing import Any

from ..runtime.files import read_json
from .clip_format import ClipFormat

FORMAT_VERSION = 1
_SHARD_NAME = re.compile(r"shard-\d{5,}")
_MOST_BYTES = 2**29  # it names all that was left out


def read_index(folder: Path) -> dict[str, Any]:
    path = folder / "index.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a folder of codes: it has no index.json (videolm encode)")
    index = read_json(path, _MOST_BYTES)
    version = index.get("format_version") if isinstance(index, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(f"{path} has format_version {version!r}; this videolm reads {FORMAT_VERSION}")
    missing = {"clips", "source", "shards", "skipped"} - index.keys()
    if missing:
        raise ValueError(f"{path} is not complete: it lacks {sorted(missing)}")
    try:
        ClipFormat.from_json(index["clips"])
        check_records(index["shards"], index["skipped"])
        if not isinstance(index["source"], dict):
            raise ValueError(f"its source is {index['source']!r}")
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return index


def check_records(shards: Any, skipped: Any) -> None:
    """Raise a ValueError if values of an index or a record are not what they should be."""
    if not isinstance(shards, list) or not isinstance(skipped, list):
        raise ValueError("its shards and what was skipped are no lists")
    for shard in shards:
        if not isinstance(shard, dict) or not _SHARD_NAME.fullmatch(str(shard.get("name"))):
            raise ValueError(f"{shard!r} is no shard")  # and no path to elsewhere
        counts = [shard.get(name) for name in ("clips", "with_audio", "bytes")]
        sums = shard.get("sha256")
        if not all(type(count) is int for count in counts) or not isinstance(sums, dict):
            raise ValueError(f"{shard!r} lacks counts or checksums")
        if not {"safetensors", "jsonl"} <= sums.keys():
            raise ValueError(f"{shard!r} lacks checksums")
    for each in skipped:
        if not isinstance(each, list) or [type(part) for part in each] != [str, str]:
            raise ValueError(f"{each!r} is no name with a reason")
