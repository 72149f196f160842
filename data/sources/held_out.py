"""Which clips are held out of training: one rule for all stages, so that none trains on another's test clips.

A clip stands on the side of its key: its `group` (a film, a speaker) where its entry has one, else the path
of its file relative to the source. So windows and parts of one film are on one side, a folder that is moved
keeps its sides, a folder that is sorted by class is not validated on its last class, and files that are added
or removed later change no other file's side.

    key  ->  SHA-256 as a number in [0, 1), its place  ->  held out if below the share
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from warnings import warn

from ..runtime.remote import is_address
from .entry import Entry

VALIDATION_SHARE = 0.05
GROUP = "group"
# Times the share from which on a warning says how much is held out.
_MUCH = 3


class SplitKey(NamedTuple):
    """What decides on which side a clip stands.

    Args:
        group: of its entry; empty if there is none.
        path: of its file, relative to the source; empty of the embedded corpus, which has a rule of its own.
    """

    group: str
    path: str


def split_key(entry: Entry, source: str) -> SplitKey:
    """The key of an entry of a source.

    The path of a file outside of the source's folder is taken as it is listed: relative to the list, or
    absolute. A sample of a tar has the tar's name and its own.
    """
    return SplitKey(group_of(entry.extra), relative_path(str(entry.path), source))


def group_of(extra: Mapping[str, object]) -> str:
    """The group that an entry's line gives; empty if it gives none."""
    group = extra.get(GROUP)
    return "" if group is None else str(group)


def deciding(keys: Sequence[SplitKey]) -> list[str]:
    """For each clip what decides: its group, or the path where it has none.

    A group that all clips share, as after `--where group=cats`, divides nothing: then the paths decide.
    """
    if len({key.group for key in keys}) == 1:
        return [key.path for key in keys]
    return [f"group {key.group}" if key.group else key.path for key in keys]


def relative_path(path: str, source: str) -> str:
    """A path relative to the folder of a source, with slashes; as it is where it lies elsewhere."""
    place = Path(source)
    root = place if not is_address(source) and place.is_dir() else place.parent
    found = Path(path)
    if found.is_relative_to(root):
        found = found.relative_to(root)
    return unicodedata.normalize("NFC", found.as_posix())


def place_of(key: str) -> float:
    """A number in [0, 1) that follows from the key alone, evenly spread over keys."""
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def held_out(keys: Sequence[str], share: float, at_most: int | None = None) -> set[str]:
    """The keys that are held out, of those of all clips: at least one, and not all.

    Args:
        keys: of each clip.
        share: of all possible keys; about this share of those there are.
        at_most: of the keys below the share only the lowest, until they have so many clips; all if not given.

    Raises:
        ValueError: if there are not two keys to divide.
    """
    clips = Counter(keys)
    if len(clips) < 2:
        raise ValueError(
            f"the clips are of {len(clips)} file or group; at least 2 are needed, one of them held out "
            "(or give clips to validate on: --data.validation_source)"
        )
    ranked = sorted(clips, key=place_of)
    chosen: set[str] = set()
    count = 0
    for key in ranked[:-1]:
        if chosen and (place_of(key) >= share or (at_most is not None and count >= at_most)):
            break
        chosen.add(key)
        count += clips[key]
    if count > max(_MUCH * share * len(keys), 1):
        warn(
            f"{count} of {len(keys)} clips are held out, those of {', '.join(sorted(chosen)[:3])}: a file or "
            "group is never divided. Leave out `group` where it is a kind of clips, or give "
            "--data.validation_source",
            stacklevel=2,
        )
    return chosen


def by_place(keys: Sequence[str]) -> list[int]:
    """Numbers of clips in the order of their keys' places; those of one key as they came."""
    return sorted(range(len(keys)), key=lambda index: place_of(keys[index]))
