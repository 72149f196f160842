"""`read_manifest`: any source of clips as a list of entries.

    folder of media              all of them, with name.txt or name.json beside name.mp4 where there is one
    folder with captions.jsonl   what that lists; likewise .jsonl, .csv, .tsv and .parquet files by name
    a.tar, a-{000..099}.tar      WebDataset samples; likewise a folder of tars
    s3://bucket/a.tar            read where it is, by fsspec; likewise s3://bucket/a.parquet
    hf:NAME@SPLIT                a data set of Hugging Face's library, of the hub or a folder
    hf-stream:NAME@SPLIT         the same read where it is, if it consists of Parquet files or tars

A line of captions.jsonl is one JSON object:

    {"path": "grid/bbaf2n.mp4", "caption": "bin blue at f two now", "start": 0.5, "end": 2, "group": "s1"}

A `long_caption` is one that a captioner wrote (`videolm data caption`), kept apart from the others.
`path` counts from the file's own folder; one that is absolute or leaves it through `..` is followed, for a
list may well stand beside the clips that somebody keeps elsewhere. `caption` is text or a list of texts
that all describe the clip, `start` and `end` are seconds; all but the path may be missing, and other
keys are kept. Columns of tables have the same names.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ..runtime.remote import is_address
from .entry import MEDIA_SUFFIXES, Entry
from .folders import read_folder
from .huggingface import PREFIX, STREAM_PREFIX, is_saved_dataset, read_dataset, read_streamed
from .tables import TABLE_SUFFIXES, read_parquet, read_table
from .webdataset import expand_range, read_tar

MANIFEST_NAME = "captions.jsonl"
_SHOWN_VALUES = 8


def read_manifest(source: str | Path, where: Mapping[str, str] = MappingProxyType({})) -> list[Entry]:
    """The clips that a source names, in an order that does not change.

    Args:
        source: as above.
        where: keys and the values they must have, compared as text.

    Raises:
        FileNotFoundError: if the source is not there.
        ValueError: if a line is wrong, or nothing is left.
    """
    entries = _read(str(source))
    if not entries:
        raise ValueError(f"{source} names no clips")
    chosen = [entry for entry in entries if _matches(entry, where)]
    if not chosen:
        wish = ", ".join(f"{key}={value}" for key, value in where.items())
        raise ValueError(f"{source} has no clip with {wish}; {_found(entries, where)}")
    return chosen


def read_files(source: str, where: Mapping[str, str]) -> list[Entry]:
    """As `read_manifest`, of a source whose clips are files of their own, so that a new list can name them.

    Raises:
        FileNotFoundError, ValueError: as `read_manifest`, or if clips are inside other files.
    """
    entries = read_manifest(source, where)
    if any(entry.load is not None for entry in entries):
        raise ValueError(f"{source} keeps clips inside other files; a list can only name files of their own")
    return entries


def _read(source: str) -> list[Entry]:
    if source.startswith(PREFIX):
        return read_dataset(source)
    if source.startswith(STREAM_PREFIX):
        return read_streamed(source)
    if source.endswith(".tar"):
        return [entry for tar in expand_range(source) for entry in read_tar(_present(tar))]
    if is_address(source):
        return _read_remote(source)
    path = Path(_present(source))
    if path.is_dir():
        return _read_folder(path)
    suffix = path.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return read_table(path)
    if suffix in MEDIA_SUFFIXES:
        return [Entry(path)]
    known = " ".join([*TABLE_SUFFIXES, ".tar"])
    raise ValueError(f"{path} is no kind of list that can be read; expected one of {known}, or a media file")


def _read_remote(source: str) -> list[Entry]:
    if not source.endswith(".parquet"):
        raise ValueError(f"{source} cannot be read at its address; expected a .tar or .parquet")
    return [entry for table in expand_range(source) for entry in read_parquet(table)]


def _present(source: str) -> str:
    if not is_address(source) and not Path(source).exists():
        raise FileNotFoundError(f"{source} is not there; expected a folder of clips or a .jsonl file")
    return source


def _read_folder(folder: Path) -> list[Entry]:
    if (folder / MANIFEST_NAME).is_file():
        return read_table(folder / MANIFEST_NAME)
    if is_saved_dataset(folder):
        return read_dataset(f"{PREFIX}{folder}")
    entries = read_folder(folder)
    if not entries:
        entries = [entry for tar in sorted(folder.glob("*.tar")) for entry in read_tar(str(tar))]
    if not entries:
        entries = [entry for table in sorted(folder.glob("*.parquet")) for entry in read_table(table)]
    if not entries:
        raise ValueError(f"{folder} has neither a {MANIFEST_NAME} nor media files, tars or Parquet files")
    return entries


def _matches(entry: Entry, where: Mapping[str, str]) -> bool:
    return all(key in entry.extra and str(entry.extra[key]) == str(value) for key, value in where.items())


def _found(entries: list[Entry], where: Mapping[str, str]) -> str:
    """What the entries have under the keys that were asked for, the most frequent values first."""
    keys = sorted({key for entry in entries for key in entry.extra})
    others = f", only {', '.join(keys)}" if keys else " or any other key"
    parts = []
    for key in where:
        values = Counter(str(entry.extra[key]) for entry in entries if key in entry.extra)
        shown = [value for value, _ in values.most_common(_SHOWN_VALUES)]
        more = [f"{len(values) - len(shown)} more"] if len(values) > len(shown) else []
        parts.append(f"{key} is {', '.join(shown + more)}" if values else f"no clip has {key}{others}")
    return "; ".join(parts)
