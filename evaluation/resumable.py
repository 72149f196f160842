"""Resumable work on numbered items, in chunks on disk, which several processes can share.

    part = Part(out / "features" / "real", count=2048, compute=..., made_of=...)
    part.work()                      # whatever is not on disk yet
    part.work(Share(2, 8))           # every eighth chunk of it
    part.read()                      # when all is there

A chunk's file appears when the whole chunk is computed. It keeps what it was made of: a chunk whose files
have changed since is computed again. A chunk is the same whichever process computes it, so an interrupted run
ends with the files of an uninterrupted one.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.runtime.files import replacing
from ..data.runtime.progress import progress

# The result for one item: named tensors, or the reason why there are none.
Item = dict[str, Tensor] | str
_SKIPPED, _MADE_OF = "skipped", "made_of"


@dataclass(frozen=True)
class Share:
    """The part of the chunks that this process computes: every `world`-th one, from the `rank`-th on.

    Args:
        rank: number of this process among those that share the work.
        world: how many they are; each is started by you with the same --out.
    """

    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise ValueError(f"rank is {self.rank} of {self.world}; expected 0 to {self.world - 1}")

    def of(self, chunks: int) -> range:
        """The numbers of this process' chunks."""
        return range(self.rank, chunks, self.world)


ALL = Share()


@dataclass(frozen=True)
class Part:
    """Items 0 to count - 1, kept on disk in chunks.

    Args:
        folder: for the files.
        count: of the items.
        compute: items of given numbers, one result for each.
        size: items of a chunk.
        made_of: what items of given numbers follow from, beside the settings that the folder is claimed for:
            hex digits of their files' contents. Of nothing else if not given.
    """

    folder: Path
    count: int
    compute: Callable[[Sequence[int]], Sequence[Item]]
    size: int = 16
    made_of: Callable[[Sequence[int]], str] | None = None

    def work(self, share: Share = ALL, report: Callable[[int], None] | None = None) -> None:
        """Compute the missing chunks of a share; `report` is called with the items of each chunk."""
        for chunk in share.of(self._num_chunks):
            if not self._is_done(chunk):
                numbers = self._numbers(chunk)
                made_of = self._made_of(chunk)  # before what it is made of is read
                items = self.compute(numbers)
                assert len(items) == len(numbers)
                _write(self._path(chunk), items, made_of)
            if report is not None:
                report(len(self._numbers(chunk)))

    def num_items(self, share: Share) -> int:
        """Items of a share."""
        return sum(len(self._numbers(chunk)) for chunk in share.of(self._num_chunks))

    @property
    def num_done(self) -> int:
        """Items on disk."""
        chunks = range(self._num_chunks)
        return sum(len(self._numbers(chunk)) for chunk in chunks if self._is_done(chunk))

    def num_changed(self, share: Share) -> int:
        """Items of a share on disk whose files have changed since."""
        there = (chunk for chunk in share.of(self._num_chunks) if self._path(chunk).is_file())
        return sum(len(self._numbers(chunk)) for chunk in there if not self._is_done(chunk))

    def read(self, numbers: Sequence[int] | None = None) -> Iterator[Item]:
        """Items in order, all or the given ones.

        Raises:
            FileNotFoundError: if a chunk is not there yet.
            ValueError: if a file is damaged.
        """
        held, items = -1, []
        for number in range(self.count) if numbers is None else numbers:
            if number // self.size != held:
                held = number // self.size
                items = _read(self._path(held), len(self._numbers(held)))
            yield items[number % self.size]

    def _is_done(self, chunk: int) -> bool:
        path = self._path(chunk)
        return path.is_file() and (self.made_of is None or _made_of(path) == self._made_of(chunk))

    def _made_of(self, chunk: int) -> str:
        return "" if self.made_of is None else self.made_of(self._numbers(chunk))

    @property
    def _num_chunks(self) -> int:
        return -(-self.count // self.size)

    def _numbers(self, chunk: int) -> range:
        return range(chunk * self.size, min(self.count, (chunk + 1) * self.size))

    def _path(self, chunk: int) -> Path:
        return self.folder / f"{chunk:06d}.npz"


def work_through(description: str, parts: Sequence[Part], share: Share = ALL) -> bool:
    """Compute a share of each part; whether all parts are complete, with what other processes computed."""
    done = 0
    if changed := sum(part.num_changed(share) for part in parts):
        print(f"{changed} items are computed again: what they were made of has changed")
    with progress(description, sum(part.num_items(share) for part in parts)) as tell:

        def advance(items: int) -> None:
            nonlocal done
            done += items
            tell(done)

        for part in parts:
            part.work(share, advance)
    if left := sum(part.count - part.num_done for part in parts):
        print(f"{left} items are left to other processes; run again when they have finished")
    return not left


def _made_of(path: Path) -> str:
    """What a chunk was made of; nothing of an earlier version's."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return str(arrays[_MADE_OF]) if _MADE_OF in arrays.files else ""
    except Exception as error:  # as `_read`
        raise ValueError(f"{path} is damaged; delete it, and it is computed again") from error


def _write(path: Path, items: Sequence[Item], made_of: str = "") -> None:
    arrays: dict[str, np.ndarray] = {}
    skipped: dict[str, str] = {}
    for place, item in enumerate(items):
        if isinstance(item, str):
            skipped[str(place)] = item
        else:
            arrays |= {f"{place}/{name}": value.cpu().numpy() for name, value in item.items()}
    arrays[_SKIPPED], arrays[_MADE_OF] = np.array(json.dumps(skipped)), np.array(made_of)
    with replacing(path) as temporary, temporary.open("wb") as file:
        # The stubs think that one of the names could be allow_pickle.
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]


def _read(path: Path, count: int) -> list[Item]:
    items: list[Item] = [{} for _ in range(count)]
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for place, reason in json.loads(str(arrays[_SKIPPED])).items():
                items[int(place)] = reason
            for key in arrays.files:
                place, _, name = key.partition("/")
                if name and isinstance(item := items[int(place)], dict):
                    item[name] = torch.from_numpy(arrays[key])
    except FileNotFoundError:
        raise
    except Exception as error:  # zip, numpy and JSON raise many types for a damaged file
        raise ValueError(f"{path} is damaged; delete it, and it is computed again") from error
    return items
