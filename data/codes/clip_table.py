"""Captions and keys of the clips of a folder of shards as columns in files that are mapped, not loaded.

    table = open_table(folder, index, jsonl_files)    # made once on a machine, later mapped at once
    table.line(7)                                     # what the seventh clip's line says
    table.columns.has_text                            # a value for each clip

    CACHE/tables/<folder>-<content>/lines.npy    the .jsonl files one after the other, as bytes
                                    ends.npy     where each clip's line ends
                                    has_audio.npy, has_text.npy, group.npy, path.npy, source.npy

A million captions as Python objects would take gigabytes, in every worker anew; pages of a mapped file are
shared by all processes of a machine. The name of a table holds all that it follows from, so that one that
is there need not be compared with anything.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64, UInt8, UInt64

from ..runtime.cache_folders import cache_of_codes
from ..runtime.files import replacing
from ..runtime.notes import notify
from ..runtime.parsing import parse_json
from ..sources.entry import LONG_CAPTION
from ..sources.held_out import GROUP, group_of, key_number, relative_path
from .checked_files import place_name, refuse_damaged

_VERSION = 1
_NEWLINE = 10


@dataclass(frozen=True, eq=False)
class ClipColumns:
    """What decides which clips a task learns from, and on which side of the division they stand.

    Args:
        has_audio: whether a clip has codes of its sound.
        has_text: whether it has a caption of any kind.
        group: `key_number` of its group; 0 if it has none.
        path: of its file, relative to the source; 0 of the embedded corpus.
        source: of the name of its source; 0 where there is a path.
    """

    has_audio: Bool[np.ndarray, " clips"]
    has_text: Bool[np.ndarray, " clips"]
    group: UInt64[np.ndarray, " clips"]
    path: UInt64[np.ndarray, " clips"]
    source: UInt64[np.ndarray, " clips"]

    def __len__(self) -> int:
        return len(self.has_audio)

    @property
    def file(self) -> UInt64[np.ndarray, " clips"]:
        """Tells the files apart that clips are of."""
        return np.where(self.path != 0, self.path, self.source)

    @classmethod
    def of(
        cls,
        has_audio: Sequence[bool],
        has_text: Sequence[bool],
        group: Sequence[str],
        path: Sequence[str],
        source: Sequence[str],
    ) -> "ClipColumns":
        """Of what the clips' lines say; texts are empty where there is nothing."""
        named = [name if not file else "" for name, file in zip(source, path, strict=True)]
        groups = [f"group {each}" if each else "" for each in group]
        texts = (_numbers(each) for each in (groups, path, named))
        return cls(np.array(has_audio, bool), np.array(has_text, bool), *texts)

    @classmethod
    def joined(cls, parts: Sequence["ClipColumns"]) -> "ClipColumns":
        """Of the clips of several sets, one after the other; of a single one without a copy."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)))


class ClipTable:
    """The lines of all clips and their columns.

    Args:
        lines, ends: bytes of all lines, and where each clip's ends.
    """

    def __init__(self, lines: np.ndarray, ends: np.ndarray, columns: ClipColumns):
        self._lines, self._ends, self.columns = lines, ends, columns

    def __len__(self) -> int:
        return len(self._ends)

    def line(self, index: int) -> dict[str, Any]:
        """The captions, source and further keys of a clip.

        Raises:
            IndexError: if there is no such clip.
            ValueError: if its line is none of a clip.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"clip {index} of {len(self)}")
        index %= len(self)
        first = int(self._ends[index - 1]) if index else 0
        return line_of(self._lines[first : int(self._ends[index])].tobytes(), f"clip {index}")

    @classmethod
    def load(cls, folder: Path) -> "ClipTable":
        found = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in folder.glob("*.npy")}
        lines, ends = found.pop("lines"), found.pop("ends")
        return cls(lines, ends, ClipColumns(**found))


def open_table(folder: Path, index: dict[str, Any], files: Sequence[Path]) -> ClipTable:
    """The table of the clips of a folder; made if it is not kept yet.

    Args:
        index: of the folder (shard_index.py).
        files: its .jsonl files, which exist.

    Raises:
        ValueError: if a file is damaged, or a line is none of a clip.
    """
    states = [path.stat() for path in files]
    content = [
        _VERSION, index["source"], [shard["sha256"]["jsonl"] for shard in index["shards"]],
        [[each.st_size, each.st_mtime_ns, each.st_ino] for each in states],
    ]  # fmt: skip
    place, digest = place_name(folder), hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
    kept = cache_of_codes() / "tables" / f"{place}-{digest}"
    if kept.is_dir():
        return ClipTable.load(kept)
    try:
        with replacing(kept) as temporary:
            temporary.mkdir()
            _write(temporary, index, files)
    except OSError as error:
        notify(f"{kept} cannot be written ({error.strerror}): captions are kept in memory")
        return _in_memory(index, files)
    for older in kept.parent.glob(f"{place}-*"):
        if older != kept:
            shutil.rmtree(older, ignore_errors=True)
    return ClipTable.load(kept)


def line_of(text: bytes, name: str) -> dict[str, Any]:
    """What the line of a clip says.

    Raises:
        ValueError: if it is none.
    """
    try:
        line = parse_json(text.decode("utf-8"), "it")
        captions, source, has_audio = line["captions"], line["source"], line["has_audio"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{name} has a line that is no clip: {error!r}") from error
    is_text = isinstance(source, str) and isinstance(line.get("path", ""), str)
    extra = line.get("extra")
    is_clip = isinstance(captions, list) and is_text and isinstance(has_audio, bool)
    if not is_clip or not isinstance(extra, dict) or not all(
        isinstance(caption, str) for caption in (*captions, extra.get(LONG_CAPTION, ""))
    ):
        raise ValueError(f"{name} has a line that is no clip: {text[:80].decode(errors='replace')}")
    return line


def path_in_source(path: str, name: str, source: dict[str, Any]) -> str:
    """The path of a clip's file relative to its source.

    Args:
        path: as the clip's line gives it; older versions gave none.
        name: of its source, with the start of a part (film.mp4@1.5).
        source: of the folder of codes.
    """
    if path or "split" in source:
        return path
    return relative_path(re.sub(r"@[\d.e+-]+$", "", name), str(source.get("source", "")))


def _write(folder: Path, index: dict[str, Any], files: Sequence[Path]) -> None:
    lines = np.lib.format.open_memmap(folder / "lines.npy", "w+", np.uint8, (_size(files),))
    ends, columns = _read(lines, index, files)
    lines.flush()
    np.save(folder / "ends.npy", ends)
    for each in fields(columns):
        np.save(folder / f"{each.name}.npy", getattr(columns, each.name))


def _in_memory(index: dict[str, Any], files: Sequence[Path]) -> ClipTable:
    lines = np.empty(_size(files), np.uint8)
    return ClipTable(lines, *_read(lines, index, files))


def _size(files: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in files)


def _read(
    lines: UInt8[np.ndarray, " bytes"], index: dict[str, Any], files: Sequence[Path]
) -> tuple[Int64[np.ndarray, " clips"], ClipColumns]:
    """Fill `lines` with the files, one behind the other; where each clip's ends, and the columns of all."""
    ends, columns, filled = [np.zeros(0, np.int64)], [ClipColumns.of([], [], [], [], [])], 0
    for shard, path in zip(index["shards"], files, strict=True):
        data = path.read_bytes()
        refuse_damaged(path, hashlib.sha256(data).hexdigest(), shard["sha256"]["jsonl"])
        lines[filled : filled + len(data)] = np.frombuffer(data, np.uint8)
        own_ends, own_columns = _columns(data, path, index["source"])
        if len(own_ends) != shard["clips"]:
            found = f"it has {len(own_ends)} clips; {shard['clips']} were written"
            raise ValueError(f"{path} is damaged: {found}")
        ends.append(own_ends + filled)
        columns.append(own_columns)
        filled += len(data)
    return np.concatenate(ends), ClipColumns.joined(columns)


def _columns(
    data: bytes, path: Path, source: dict[str, Any]
) -> tuple[Int64[np.ndarray, " clips"], ClipColumns]:
    """Where the lines of a file end, and their columns."""
    breaks = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE) + 1
    ends = breaks if not data or data.endswith(b"\n") else np.append(breaks, len(data))
    ends = ends[np.diff(ends, prepend=0) > 1]  # without empty lines
    try:
        lines = _parsed_at_once(data)
        if len(lines["captions"]) != len(ends):
            raise ValueError("lines are divided otherwise")
    except ValueError:  # something that not every clip's line has: one by one, or a reason to refuse it
        lines = _parsed_one_by_one(data, path)
    files = [
        path_in_source(*pair, source) for pair in zip(lines["path"], lines["source"], strict=True)
    ]
    has_text = [bool(own or long) for own, long in zip(lines["captions"], lines["long"], strict=True)]
    return ends, ClipColumns.of(lines["has_audio"], has_text, lines["group"], files, lines["source"])


def _parsed_at_once(data: bytes) -> dict[str, list[Any]]:
    """What the columns follow from, in a fifth of the time.

    Raises:
        ValueError: if a line is not of the usual kind.
    """
    import pyarrow
    import pyarrow.compute
    import pyarrow.json

    if not data:
        return {name: [] for name in ("captions", "long", "has_audio", "group", "path", "source")}
    compute: Any = pyarrow.compute  # its functions are made when it is imported
    text = pyarrow.string()
    extra = pyarrow.struct([(GROUP, text), (LONG_CAPTION, text)])
    kinds = [("captions", pyarrow.list_(text)), ("source", text), ("has_audio", pyarrow.bool_())]
    schema = pyarrow.schema([*kinds, ("path", text), ("extra", extra)])
    rows = pyarrow.json.read_json(
        pyarrow.BufferReader(data),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="ignore"
        ),
    )
    needed = [rows[name] for name in ("captions", "source", "has_audio", "extra")]
    if any(each.null_count for each in (*needed, compute.list_flatten(rows["captions"]))):
        raise ValueError("something is missing")
    group, long = (
        compute.struct_field(rows["extra"], name).fill_null("") for name in (GROUP, LONG_CAPTION)
    )
    return {
        "captions": compute.list_value_length(rows["captions"]).to_pylist(),
        "long": long.to_pylist(),
        "has_audio": rows["has_audio"].to_pylist(),
        "group": group.to_pylist(),
        "path": rows["path"].fill_null("").to_pylist(),
        "source": rows["source"].to_pylist(),
    }


def _parsed_one_by_one(data: bytes, path: Path) -> dict[str, list[Any]]:
    lines = [line_of(text, str(path)) for text in data.split(b"\n") if text]
    return {
        "captions": [len(line["captions"]) for line in lines],
        "long": [line["extra"].get(LONG_CAPTION, "") for line in lines],
        "has_audio": [line["has_audio"] for line in lines],
        "group": [group_of(line["extra"]) for line in lines],
        "path": [line.get("path", "") for line in lines],
        "source": [line["source"] for line in lines],
    }


def _numbers(texts: Sequence[str]) -> UInt64[np.ndarray, " clips"]:
    """`key_number` of each; 0 where there is none. Windows of a file share theirs."""
    numbers = {each: key_number(each) if each else 0 for each in set(texts)}
    return np.array([numbers[each] for each in texts], np.uint64)
