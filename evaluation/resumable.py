"""Long work on numbered items, chunk by chunk: killed, it goes on; many processes share it.

    part = Part(out / "features" / "real", count=2048, compute=...)
    part.work()                      # whatever is not on disk yet
    part.work(rank=2, world=8)       # every eighth chunk of it
    part.read()                      # when all is there

A chunk is computed whole and appears under its name when it is complete. Chunks are the same whoever computes
them, so an interrupted run ends with the files of an uninterrupted one.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.runtime.files import read_json, replacing, write_json
from ..data.runtime.progress import progress

# What one item gave: named tensors, or why it gave nothing.
Item = dict[str, Tensor] | str
_SKIPPED = "skipped"


@dataclass(frozen=True)
class Part:
    """Items 0 to count - 1, kept on disk in chunks.

    Args:
        folder: for the files.
        count: of the items.
        compute: items of given numbers, one result for each.
        size: items of a chunk.
    """

    folder: Path
    count: int
    compute: Callable[[Sequence[int]], Sequence[Item]]
    size: int = 16

    def work(self, rank: int = 0, world: int = 1, report: Callable[[int], None] | None = None) -> None:
        """Compute this process' share of what is missing; `report` hears how many items are done."""
        mine = range(rank, self._num_chunks, world)
        for chunk in mine:
            if not self._path(chunk).is_file():
                numbers = self._numbers(chunk)
                items = self.compute(numbers)
                assert len(items) == len(numbers)
                _write(self._path(chunk), items)
            if report is not None:
                report(len(self._numbers(chunk)))

    def share(self, rank: int, world: int) -> int:
        """Items that `work` goes through."""
        return sum(len(self._numbers(chunk)) for chunk in range(rank, self._num_chunks, world))

    @property
    def num_done(self) -> int:
        """Items on disk."""
        chunks = range(self._num_chunks)
        return sum(len(self._numbers(chunk)) for chunk in chunks if self._path(chunk).is_file())

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

    @property
    def _num_chunks(self) -> int:
        return -(-self.count // self.size)

    def _numbers(self, chunk: int) -> range:
        return range(chunk * self.size, min(self.count, (chunk + 1) * self.size))

    def _path(self, chunk: int) -> Path:
        return self.folder / f"{chunk:06d}.npz"


def work_through(description: str, parts: Sequence[Part], rank: int, world: int) -> bool:
    """Do one process' share of the parts, one after the other; whether everything is done, also by others.

    Raises:
        ValueError: if rank is not one of 0 to world - 1.
    """
    if not 0 <= rank < world:
        raise ValueError(f"rank is {rank} of {world}; expected 0 to {world - 1}")
    done = 0
    with progress(description, sum(part.share(rank, world) for part in parts)) as tell:

        def advance(items: int) -> None:
            nonlocal done
            done += items
            tell(done)

        for part in parts:
            part.work(rank, world, advance)
    if left := sum(part.count - part.num_done for part in parts):
        print(f"{left} items are left to other processes; run again when they have finished")
    return not left


def same_settings(path: Path, settings: dict[str, object]) -> None:
    """Write down what results in a folder were made with, or refuse to mix them with others.

    Raises:
        ValueError: if they were made with other settings.
    """
    wanted = json.loads(json.dumps(settings))
    if not path.is_file():
        write_json(path, wanted)
        return
    found = read_json(path)
    for name in wanted | found:
        if found.get(name) != wanted.get(name):
            raise ValueError(
                f"{path.parent} holds results with {name} {found.get(name)}; this run has "
                f"{wanted.get(name)}: choose another --out"
            )


def _write(path: Path, items: Sequence[Item]) -> None:
    arrays: dict[str, np.ndarray] = {}
    skipped: dict[str, str] = {}
    for place, item in enumerate(items):
        if isinstance(item, str):
            skipped[str(place)] = item
        else:
            arrays |= {f"{place}/{name}": value.cpu().numpy() for name, value in item.items()}
    arrays[_SKIPPED] = np.array(json.dumps(skipped))
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


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
