"""`read_manifest`: any source of clips as a list of entries. What is understood, with an example of each:

    clips/                       media with 01.txt or 01.json beside 01.mp4; folders are the key "class"
    clips/captions.jsonl         {"path": "a.mp4", "caption": "a dog", "start": 0.5, "end": 2, "group": "s1"}
    played/captions.jsonl        {"path": "a.mkv", "actions": [2, 0], "rewards": [0, 1], "terminated": true}
    clips/metadata.csv           file_name,text                    likewise .jsonl, .parquet (Hugging Face)
    clips/videos.txt             a.mp4       and prompts.txt beside it: a dog                 (finetrainers)
    list.csv, .tsv, .txt         path,caption,start,end            a.mp4,a dog,0:00:01.5,0:00:03
    list.json                    [{…}, {…}]    {"path": […], "caption": […]}    {"data": [{…}]}    {"id": {…}}
    llava.json                   [{"video": "a.mp4", "conversations": [{"from": "gpt", "value": "a dog"}]}]
    webvid.csv                   videoid,page_dir,name             100,000001_000050,a dog
    panda70m.csv                 videoID,timestamp,caption         id0,"[['0:00:00', '0:00:02']]","['a dog']"
    OpenVid.csv                  video,caption,fps                 a.mp4,"a dog, in quotes on two lines",24
    UCF-101/                     Archery/v_Archery_g01_c02.avi     {"class": "Archery", "group": "g01"}
    list.parquet                 the same columns, or the files themselves as {bytes, path} or bytes
    a.tar, a-{000..099}.tar.gz   WebDataset samples; likewise a folder of tars
    s3://bucket/a.tar            read where it is, by fsspec; likewise s3://bucket/a.parquet
    hf:NAME@SPLIT                a data set of Hugging Face's library, of the hub or a folder
    hf:NAME:CONFIG:REVISION@SPLIT    each may be missing; hf:NAME:REVISION@SPLIT if there is no such config
    hf-stream:NAME@SPLIT         the same read where it is, if it consists of Parquet files or tars

What columns are called elsewhere stands in columns.py; letter case and blanks do not matter. `path` counts
from the file's own folder; one that is absolute or leaves it through `..` is followed, for a list may well
stand beside the clips that somebody keeps elsewhere, unless `--confine` refuses it. `caption` is text or a
list of texts that all describe the clip, `start` and `end` are seconds or hh:mm:ss; all but the path may be
missing, and other keys are kept. A `long_caption` is one that a captioner wrote (`videolm data caption`),
kept apart from the others.

What is wrong (a line, a member of a tar) is an entry with a problem, counted and named like a file that
cannot be read; what is left out without being wrong is a note. Only a list without a single good line is
refused.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..runtime.confinement import REFUSAL, is_confined, is_inside, leads_out, places_of
from ..runtime.notes import notify
from ..runtime.remote import is_address
from .archives import TAR_SUFFIXES
from .entry import MEDIA_SUFFIXES, Entry
from .folder_lists import FolderLists, find_lists, read_names, unlisted
from .folders import clips_in, read_folder
from .huggingface import PREFIX, STREAM_PREFIX, is_saved_dataset, read_dataset, read_saved, read_streamed
from .listing import Listing, counted
from .scanning import Scan, scan
from .tables import TABLE_SUFFIXES, read_parquet, read_table
from .webdataset import expand_range, read_tar

MANIFEST_NAME = "captions.jsonl"
_SHOWN_VALUES = 8


def read_manifest(source: str | Path, where: Mapping[str, str] = MappingProxyType({})) -> list[Entry]:
    """The clips that a source names, in an order that does not change; notes become warnings.

    Args:
        source: as above.
        where: keys and the values they must have, compared as text; true and 2 also match True and 2.0.

    Raises:
        FileNotFoundError: if the source is not there.
        ValueError: if it is of no kind that can be read, or nothing is left.
    """
    listing = read_listing(source, where)
    for note in listing.notes:
        notify(note)
    return listing.entries


def read_listing(source: str | Path, where: Mapping[str, str] = MappingProxyType({})) -> Listing:
    """As `read_manifest`, with the notes."""
    listing = _read(str(source))
    if is_confined():
        listing = _confined(listing, str(source))
    entries = listing.entries
    if not entries:
        raise ValueError(f"{source} names no clips")
    chosen = [entry for entry in entries if _matches(entry, where)]
    if where and all(entry.problem for entry in chosen):
        wish = ", ".join(f"{key}={value}" for key, value in where.items())
        raise ValueError(f"{source} has no clip with {wish}; {_found(entries, where)}")
    return Listing(chosen, listing.notes)


def _confined(listing: Listing, source: str) -> Listing:
    """A problem in place of every file that is outside the source's folder.

    Of a source at an address, or by name on a hub, every file of this machine is outside.
    """
    path = Path(source)
    if is_address(source) or not (path.exists() or source.lower().endswith(TAR_SUFFIXES)):
        places = []
    elif path.is_dir():
        places = places_of(path)
    else:
        places = [*places_of(path.parent), *places_of(Path(os.path.realpath(path)).parent)]

    def may_be_read(entry: Entry) -> bool:
        is_of_hub = entry.load is not None and not places
        return bool(entry.problem) or is_of_hub or is_inside(entry.path, places)

    entries = [each if may_be_read(each) else replace(each, problem=REFUSAL) for each in listing.entries]
    return Listing(entries, listing.notes)


def read_files(source: str, where: Mapping[str, str]) -> list[Entry]:
    """As `read_manifest`, of a source whose clips are files of their own, so that a new list can name them.

    Raises:
        FileNotFoundError, ValueError: as `read_manifest`, or if clips are inside other files.
    """
    entries = read_manifest(source, where)
    if any(entry.load is not None for entry in entries):
        raise ValueError(f"{source} keeps clips inside other files; a list can only name files of their own")
    return entries


def _read(source: str) -> Listing:
    if source.startswith(PREFIX):
        return read_dataset(source)
    if source.startswith(STREAM_PREFIX):
        return read_streamed(source)
    if source.lower().endswith(TAR_SUFFIXES):
        return Listing.joined(read_tar(_present(tar)) for tar in expand_range(source))
    if is_address(source):
        return _read_remote(source)
    path = Path(_present(source))
    if path.is_dir():
        return _read_folder(path)
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return read_names(path)
    if suffix in TABLE_SUFFIXES:
        return read_table(path)
    if suffix in MEDIA_SUFFIXES:
        return Listing([Entry(path)])
    known = " ".join([*TABLE_SUFFIXES, *TAR_SUFFIXES])
    raise ValueError(f"{path} is no kind of list that can be read; expected one of {known}, or a media file")


def _read_remote(source: str) -> Listing:
    if not source.endswith(".parquet"):
        raise ValueError(f"{source} cannot be read at its address; expected a .tar or .parquet")
    return Listing.joined(read_parquet(table) for table in expand_range(source))


def _present(source: str) -> str:
    if not is_address(source) and not Path(source).exists():
        raise FileNotFoundError(f"{source} is not there; expected a folder of clips or a .jsonl file")
    return source


def _read_folder(folder: Path) -> Listing:
    has_manifest = (folder / MANIFEST_NAME).is_file() and not leads_out(folder / MANIFEST_NAME, folder)
    if is_saved_dataset(folder) and not has_manifest:
        return read_saved(folder)
    found = scan(folder)
    if has_manifest:
        lists = FolderLists({folder: read_table(folder / MANIFEST_NAME)}, {folder / MANIFEST_NAME})
    else:
        lists = find_lists(folder, found)
    listing = _media(folder, found, lists)
    packed = _packed(found)
    if not listing.entries and folder not in lists.read:
        readers = ((TAR_SUFFIXES, lambda path: read_tar(str(path))), ((".parquet",), read_table))
        for suffixes, read in readers:
            listing.add(Listing.joined(read(path) for path in packed if path.name.lower().endswith(suffixes)))
            if listing.entries:
                return listing
        notes = "".join(f"; {note}" for note in lists.notes)
        raise ValueError(
            f"{folder} has neither a {MANIFEST_NAME} nor media files, tars or Parquet files{notes}"
        )
    tars = [path for path in packed if path.name.lower().endswith(TAR_SUFFIXES)]
    if tars:
        listing.notes.append(counted(f"{folder}: tars beside other clips, not read", tars))
    return listing


def _media(folder: Path, found: Scan, lists: FolderLists) -> Listing:
    """The clips that lists name, then the media files in folders without one."""
    governed = {each: lists.governs(each) for each, _ in found.folders}
    plain = Scan([(each, names) for each, names in found.folders if governed[each] is None])
    media = {
        each: Scan([(at, names) for at, names in found.folders if governed[at] == each])
        for each in lists.read
    }
    listing = Listing(list(found.problems), [*found.notes, *lists.notes])
    for each, own in lists.read.items():
        listing.add(own)
        listing.notes += unlisted(own, clips_in(media[each]), each)
    listing.add(read_folder(folder, plain, lists.files))
    return listing


def _packed(found: Scan) -> list[Path]:
    suffixes = (*TAR_SUFFIXES, ".parquet")
    return [
        folder / name for folder, names in found.folders for name in names if name.lower().endswith(suffixes)
    ]


def _matches(entry: Entry, where: Mapping[str, str]) -> bool:
    """Whether an entry has what is asked for; of what is wrong all that is known must be as asked."""
    return all(
        _is(entry.extra[key], value) if key in entry.extra else bool(entry.problem)
        for key, value in where.items()
    )


def _is(value: Any, asked: str) -> bool:
    """Whether a value is what a condition says: as text, as a boolean in any case, or as a number."""
    if isinstance(value, bool):
        return str(value).casefold() == str(asked).casefold()
    if isinstance(value, float):
        try:
            return value == float(asked)
        except ValueError:
            return False
    return str(value) == str(asked)


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
