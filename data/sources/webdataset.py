"""WebDataset shards: tar files in which consecutive members of one name are a sample.

Nothing is ever unpacked: a member is read by its position, and only through the table of suffixes in
sidecars.py. Links, devices and names that leave the folder are reported and left out. Remote tars (s3://…)
are read through fsspec.
"""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from ..media.streams import printable
from ..runtime.remote import open_file
from .entry import MEDIA_SUFFIXES, Entry
from .sidecars import SIDECAR_SUFFIXES, kind_rank, sample_entry

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MAX_SHARDS = 1_000_000
_MAX_MEMBER_BYTES = 2**32


@dataclass(frozen=True)
class TarMember:
    """The content of one member."""

    tar: str
    offset: int
    size: int

    def __call__(self) -> bytes:
        with open_file(self.tar) as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) != self.size:
            raise OSError(f"the tar ends inside it, after {len(data)} of {self.size} bytes")
        return data


def expand_range(pattern: str) -> list[str]:
    """"a-{00..02}.tar" as the three names that it stands for.

    Raises:
        ValueError: if the range is empty or very long.
    """
    match = _RANGE.search(pattern)
    if match is None:
        return [pattern]
    numbers = range(int(match[1]), int(match[2]) + 1)
    if not 0 < len(numbers) <= _MAX_SHARDS:
        raise ValueError(f"{pattern} stands for {len(numbers)} shards; expected 1 to {_MAX_SHARDS}")
    before, after = pattern[: match.start()], pattern[match.end() :]
    return [each for number in numbers for each in expand_range(f"{before}{number:0{len(match[1])}d}{after}")]


def read_tar(tar: str) -> list[Entry]:
    """The samples of a tar, and an entry with a problem for whatever in it cannot be used."""
    entries: list[Entry] = []
    try:
        with open_file(tar) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for key, members in groupby(_members(archive), key=lambda member: _key(member.name)):
                entries += _sample(tar, key, list(members))
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError) as error:
        entries.append(Entry(Path(tar), problem=f"not a tar, or damaged ({error or type(error).__name__})"))
    return entries


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    position = -1
    while (member := archive.next()) is not None:
        # A damaged or hostile header must not send the reader back to where it has been.
        if member.offset <= position or member.size < 0:
            raise tarfile.ReadError("its members overlap")
        position = member.offset
        # They would pile up, a million in a large shard. The attribute is public, but not in typeshed.
        archive.members = []  # pyright: ignore[reportAttributeAccessIssue]
        if not member.isdir():
            yield member


def _key(name: str) -> str:
    """A sample's name: all up to the first dot of the last part."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def _sample(tar: str, key: str, members: list[tarfile.TarInfo]) -> list[Entry]:
    dangerous, usable = [], {}
    for member in members:
        if problem := _danger(member):
            dangerous.append(Entry(Path(tar) / printable(PurePosixPath(member.name).name), problem=problem))
        else:
            usable[_suffix(member, key)] = TarMember(tar, member.offset_data, member.size)
    media = sorted((each for each in usable if each in MEDIA_SUFFIXES), key=kind_rank)
    if not media:
        return dangerous
    sidecars = {suffix: read for suffix, read in usable.items() if suffix in SIDECAR_SUFFIXES}
    name = Path(tar) / f"{key}{media[0]}"
    return [sample_entry(name, sidecars, usable[media[0]]), *dangerous]


def _suffix(member: tarfile.TarInfo, key: str) -> str:
    """What follows the name; of "0001.video.mp4" the last part counts."""
    return PurePosixPath(member.name[len(key) :].lower()).suffix or member.name[len(key) :].lower()


def _danger(member: tarfile.TarInfo) -> str:
    path = PurePosixPath(member.name)
    if not member.isreg() or member.issparse():
        return "a link or device in a tar; only plain files are read"
    if path.is_absolute() or ".." in path.parts or "\0" in member.name:
        return f"its name {member.name!r} leaves the tar's folder"
    if member.size > _MAX_MEMBER_BYTES:
        return f"it has {member.size} bytes; at most {_MAX_MEMBER_BYTES} are read"
    return ""
