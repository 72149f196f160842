"""WebDataset shards: tar files whose members of one name are a sample, wherever in the tar they stand.

Nothing is ever unpacked to disk: a member is read by its position, and only through the tables of suffixes in
samples.py and sidecars.py. Links, devices and names that leave the folder are reported and left out. Remote
tars (s3://…) are read through fsspec.
"""

import re
import tarfile
from collections import defaultdict
from pathlib import Path, PurePosixPath

from ..media.streams import printable
from .archives import DAMAGE, TarMember, members_of, open_unpacked
from .entry import Entry
from .listing import Listing
from .samples import Samples, sort_out, stem_of
from .scanning import is_litter
from .sidecars import sample_entries

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MAX_SHARDS = 1_000_000
_MAX_MEMBER_BYTES = 2**30  # it is held in memory


def expand_range(pattern: str) -> list[str]:
    """ "a-{00..02}.tar" as the three names that it stands for.

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


def read_tar(tar: str) -> Listing:
    """The samples of a tar, and an entry with a problem for whatever in it cannot be used.

    All headers are read before the first clip, so that a clip and its text may stand far apart. A name that
    comes again is another sample (joined tars), and its n-th text belongs to its n-th clip.
    """
    problems: list[Entry] = []
    turns: list[dict[str, TarMember]] = []
    times: dict[str, int] = defaultdict(int)
    is_compressed = False
    try:
        with open_unpacked(tar) as (file, is_compressed):
            for member in members_of(file):
                if member.isdir() or _is_litter(member.name):
                    continue
                if problem := _danger(member):
                    name = Path(tar) / printable(PurePosixPath(member.name).name)
                    problems.append(Entry(name, problem=problem))
                    continue
                name = str(PurePosixPath(member.name))
                turn, times[name] = times[name], times[name] + 1
                turns += [{}] if turn == len(turns) else []
                turns[turn][name] = TarMember(tar, member.offset_data, member.size, is_compressed)
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        problems.append(Entry(Path(tar), problem=f"not a tar, or damaged ({reason})"))
    listing, whole = Listing(), Samples()
    for turn, members in enumerate(turns):
        samples = sort_out(members)
        whole.add(samples)
        for name, texts in samples.clips.items():
            again = name if not turn else f"{stem_of(name)}#{turn + 1}{name[len(stem_of(name)) :]}"
            sidecars = [(text, members[text]) for text in texts]
            listing.entries += sample_entries(Path(tar) / again, sidecars, members[name])
    listing.entries += problems
    listing.notes = whole.notes(tar)
    if is_compressed:
        listing.notes.append(
            f"{tar} is compressed: clips out of order are slow to read; unpack it to train on it"
        )
    return listing


def _is_litter(name: str) -> bool:
    return any(is_litter(part) for part in PurePosixPath(name).parts if part != "..")


def _danger(member: tarfile.TarInfo) -> str:
    path = PurePosixPath(member.name)
    if not member.isreg() or member.issparse():
        return "a link or device in a tar; only plain files are read"
    if path.is_absolute() or ".." in path.parts or "\0" in member.name:
        return f"its name {member.name!r} leaves the tar's folder"
    if member.size > _MAX_MEMBER_BYTES:
        return f"it has {member.size} bytes; at most {_MAX_MEMBER_BYTES} are read: unpack the tar"
    return ""
