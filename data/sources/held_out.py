"""Which clips are held out of training: one rule for all stages, so that none trains on another's test clips.

A clip stands on the side of its key: its `group` (a film, a speaker) where its entry has one, else the path
of its file relative to the source. So windows and parts of one film are on one side, a folder that is moved
keeps its sides, a folder that is sorted by class is not validated on its last class, and files that are added
or removed later change no other file's side.

    key  ->  SHA-256 as a number in [0, 1), its place  ->  held out if below the share
"""

import hashlib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt64

from ..runtime.notes import notify
from ..runtime.remote import is_address
from .entry import Entry

VALIDATION_SHARE = 0.05
GROUP = "group"
# Times the share from which on a warning says how much is held out.
_MUCH = 3
_MOST_LOOKED_AT = 1000  # clips, for the names of a message


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


def key_number(key: str) -> int:
    """64 bits that follow from the key alone, evenly spread over keys: they stand for it."""
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def place_of(key: str) -> float:
    """A number in [0, 1) that follows from the key alone."""
    return key_number(key) / 2**64


def deciding_numbers(
    group: UInt64[np.ndarray, " clips"], path: UInt64[np.ndarray, " clips"]
) -> UInt64[np.ndarray, " clips"]:
    """`deciding` of many clips by their numbers, which are 0 where a clip has no group."""
    if len(group) and (group == group[0]).all():
        return path
    return np.where(group != 0, group, path)


def held_out(keys: Sequence[str], share: float, at_most: int | None = None) -> set[str]:
    """The keys that are held out, of those of all clips: at least one, and not all.

    Args:
        keys: of each clip.
        share: of all possible keys; about this share of those there are.
        at_most: of the keys below the share only the lowest, until they have so many clips; all if not given.

    Raises:
        ValueError: if there are not two keys to divide.
    """
    numbers = {key: key_number(key) for key in set(keys)}
    of_clips = np.array([numbers[key] for key in keys], np.uint64)
    outside = is_held_out(of_clips, share, at_most, keys.__getitem__)
    return {keys[index] for index in np.flatnonzero(outside).tolist()}


def is_held_out(
    keys: UInt64[np.ndarray, " clips"], share: float, at_most: int | None, name: Callable[[int], str]
) -> Bool[np.ndarray, " clips"]:
    """`held_out` of many clips by the numbers of their keys: which clips are held out.

    Args:
        name: of a clip's key, for the message.
    """
    ranked, counts = np.unique(keys, return_counts=True)
    if len(ranked) < 2:
        raise ValueError(
            f"the clips are of {len(ranked)} file or group; at least 2 are needed, one of them held out "
            "(or give clips to validate on: --data.validation_source)"
        )
    before = np.cumsum(counts) - counts
    is_chosen = ranked / 2.0**64 < share
    if at_most is not None:
        is_chosen &= before < at_most
    is_chosen[0], is_chosen[-1] = True, False
    chosen = int(np.argmin(is_chosen))  # the first that is not, and none after it
    outside = np.isin(keys, ranked[:chosen])
    if (count := int(outside.sum())) > max(_MUCH * share * len(keys), 1):
        names = dict.fromkeys(name(int(index)) for index in np.flatnonzero(outside)[:_MOST_LOOKED_AT])
        notify(
            f"{count} of {len(keys)} clips are held out, those of {', '.join(sorted(names)[:3])}: a file or "
            "group is never divided. Leave out `group` where it is a kind of clips, or give "
            "--data.validation_source"
        )
    return outside


def by_place(keys: Sequence[str]) -> list[int]:
    """Numbers of clips in the order of their keys' places; those of one key as they came."""
    return sorted(range(len(keys)), key=lambda index: place_of(keys[index]))
