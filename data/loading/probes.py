"""What the headers of a source's files say, looked up once per file and kept as JSON.

    probes = Probes(entries, source, cache_folder(None))
    info = probes[7]                        # a MediaInfo, or why the file cannot be read
    probes.look_up(range(len(entries)), num_workers=4)

    FOLDER/probes-<hash of the source>.json    {"version": 1, "probes": {"<hash of a file>": {"file": […],
                                                "info": […]}}}

Processes of one training share the file: each adds what it has found and writes it whole. A file that has
changed (data/runtime/file_identity.py) is probed again. The cache is never kept in the folder of the source:
who may put clips there must not be able to say what is in them.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import astuple
from math import isfinite
from pathlib import Path
from typing import Any

from ..media.probe import MediaInfo, probe_header
from ..media.streams import MediaError, printable
from ..runtime.cache_folders import user_cache
from ..runtime.file_identity import FileIdentity, identify_file, is_same_file
from ..runtime.files import read_json, write_json
from ..runtime.notes import notify
from ..runtime.progress import progress
from ..runtime.workers import Lost, map_in_processes
from ..sources.archives import TarMember
from ..sources.entry import Entry
from ..sources.entry_identity import file_of

SECONDS_PER_PROBE = 60.0
_VERSION = 1
_MOST_BYTES = 2**28
_MOST_PROBES = 1_000_000
# Writing the cache may take this share of the time.
_SHARE_OF_WRITING = 0.02
_LEAST_SECONDS_BETWEEN = 1.0
_Record = dict[str, Any]


def cache_folder(chosen: Path | None) -> Path:
    """Where probes are kept if not in a run folder: `chosen`, or else $XDG_CACHE_HOME/videolm."""
    if chosen is not None:
        return chosen
    return user_cache() / "videolm"


def probe_entry(entry: Entry) -> MediaInfo:
    """What the header of an entry's file says.

    Raises:
        MediaError, OSError: if it cannot be read.
    """
    return probe_header(entry.media)


class Probes:
    """Headers of the files of some entries, by the number of the entry.

    Args:
        entries: whose files are probed.
        source: the source that they are of.
        folder: of the cache; None keeps nothing.
        probe: reads the header of an entry's file, with the errors of `probe_entry`.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        source: str = "",
        folder: Path | None = None,
        probe: Callable[[Entry], MediaInfo] = probe_entry,
    ):
        self.entries, self.probe = entries, probe
        self.path = _cache_path(folder, source)
        self._infos: dict[int, MediaInfo | str] = {}
        self._known: dict[str, _Record] | None = None
        self._new: dict[str, _Record] = {}
        self._tars: dict[Path, FileIdentity] = {}
        self._written, self._seconds_of_writing = time.monotonic(), 0.0

    def __getitem__(self, index: int) -> MediaInfo | str:
        """What the header of an entry's file says, or why it cannot be read."""
        if index not in self._infos:
            self._note(index, self.record(index))
            self._save_now_and_then()
        return self._infos[index]

    def look_up(self, indices: Iterable[int], num_workers: int = 0) -> None:
        """Probe what is not known yet, and keep it.

        Args:
            num_workers: processes, where a file that hangs is given up; 0 takes threads of this one.
        """
        missing = [index for index in indices if index not in self._infos]
        if not missing:
            return
        self._load()
        with progress("probe", len(missing)) as report, ThreadPoolExecutor() as threads:
            if num_workers:
                records = map_in_processes(_Record_of(self), missing, num_workers, SECONDS_PER_PROBE)
            else:
                records = threads.map(self.record, missing)  # the decoder lets other threads run
            for done, (index, record) in enumerate(zip(missing, records, strict=True), start=1):
                if isinstance(record, Lost):
                    record = {"problem": f"{printable(self.entries[index].path)}: {record.reason}"}
                self._note(index, record)
                self._save_now_and_then()
                report(done)
        self.save()

    def save(self) -> None:
        """Write what is new, beside what other processes have written."""
        if self.path is None or not self._new:
            return
        started = time.monotonic()
        known = (_read(self.path) or {}) | self._new
        try:
            write_json(self.path, {"version": _VERSION, "probes": dict(list(known.items())[-_MOST_PROBES:])})
        except OSError as error:
            problem = f"{self.path} cannot be written ({error.strerror}): no probes are kept"
            notify(problem)
            self.path = None
            return
        self._known, self._new = known, {}
        self._written = time.monotonic()
        self._seconds_of_writing = self._written - started

    def record(self, index: int) -> _Record:
        """What is kept of an entry's file: `info`, and by what the `file` is recognised; or the `problem`."""
        entry = self.entries[index]
        file = file_of(entry) if self.path is not None else None
        key = _key(entry)
        stored = self._load().get(key)
        try:
            if file and stored and self._is_same(entry, file, FileIdentity.from_json(stored["file"])):
                return stored
            info = self.probe(entry)
            identity = None if file is None else self._identity(entry, file).to_json()
        except (MediaError, OSError) as error:
            return {"problem": str(error)}
        return {"info": list(astuple(info)[:-1]), "file": identity}

    def _is_same(self, entry: Entry, file: Path, known: FileIdentity) -> bool:
        return is_same_file(file, known) if entry.load is None else self._identity(entry, file) == known

    def _identity(self, entry: Entry, file: Path) -> FileIdentity:
        """Of a tar, which holds many clips, it is found out once."""
        if file in self._tars:
            return self._tars[file]
        identity = identify_file(file)
        if entry.load is not None:
            self._tars[file] = identity
        return identity

    def __getstate__(self) -> dict[str, Any]:
        self._load()
        return self.__dict__

    def _note(self, index: int, record: _Record) -> None:
        if "problem" in record:
            self._infos[index] = record["problem"]
            return
        self._infos[index] = MediaInfo(*record["info"])
        key = _key(self.entries[index])
        if record["file"] is not None and self._load().get(key) != record:
            self._new[key] = record

    def _load(self) -> dict[str, _Record]:
        if self._known is None:
            self._known = {} if self.path is None else _read(self.path) or {}
        return self._known

    def _save_now_and_then(self) -> None:
        wait = max(_LEAST_SECONDS_BETWEEN, self._seconds_of_writing / _SHARE_OF_WRITING)
        if self._new and time.monotonic() - self._written > wait:
            self.save()


class _Record_of:
    """Runs in a worker."""

    def __init__(self, probes: Probes):
        self.probes = copy(probes)
        self.probes.probe = probe_entry  # in the worker itself

    def __call__(self, index: int) -> _Record:
        return self.probes.record(index)


def _cache_path(folder: Path | None, source: str) -> Path | None:
    if folder is None:
        return None
    place, kept = Path(source).absolute(), folder.absolute().resolve()
    if place.is_dir() and kept.is_relative_to(place.resolve()):
        return None
    if place.is_file() and kept == place.parent.resolve():
        return None
    return folder / f"probes-{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}.json"


def _key(entry: Entry) -> str:
    """Names a file, or a member of a tar, in the cache."""
    member = (entry.load.offset, entry.load.size) if isinstance(entry.load, TarMember) else ()
    file = file_of(entry) or entry.path
    return hashlib.sha256(b"\0".join([os.fsencode(file.absolute()), repr(member).encode()])).hexdigest()[:32]


def _read(path: Path) -> dict[str, _Record] | None:
    """The probes in a file; None if there is none, or, with a warning, if it is damaged."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        return _checked(read_json(path))
    except FileNotFoundError:
        return None
    except (ValueError, OSError, RecursionError) as error:
        notify(f"{path} is damaged and made anew: {error}")
        return None


def _checked(stored: Any) -> dict[str, _Record]:
    """The probes of a stored cache.

    Raises:
        ValueError: if it is anything else.
    """
    if not isinstance(stored, dict) or stored.get("version") != _VERSION:
        raise ValueError(f"expected version {_VERSION}")
    probes = stored.get("probes")
    if not isinstance(probes, dict) or len(probes) > _MOST_PROBES:
        raise ValueError(f"expected at most {_MOST_PROBES} probes")
    for record in probes.values():
        if not isinstance(record, dict) or record.keys() != {"file", "info"}:
            raise ValueError(f"{str(record)[:80]} is no probe")
        FileIdentity.from_json(record["file"])
        _check_info(record["info"])
    return probes


def _check_info(info: Any) -> None:
    kinds = (int, int, float, int, float, int, int)
    if not isinstance(info, list) or len(info) != len(kinds):
        raise ValueError(f"{str(info)[:80]} is no description of a file")
    for value, kind in zip(info, kinds, strict=True):
        if type(value) not in (kind, int) or not 0 <= value < 2**53 or not isfinite(value):
            raise ValueError(f"{str(info)[:80]} is no description of a file")
