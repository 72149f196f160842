"""Clips for training, read in a process of their own: a file that hangs or crashes costs itself, not the run.

    training -> data loader's worker -> GuardedReader -> one killable process (data/runtime/workers.py)

The process is started by the first file that a loader's worker reads, and started anew after one that had to
be killed. What comes back is compared with nothing: it is the same decoder's.
"""

import os
from dataclasses import astuple, dataclass, field
from typing import Any

import torch

from ..media.clip import Clip
from ..media.clip_tensors import put_together, take_apart
from ..media.probe import MediaInfo
from ..media.streams import EmptyPart, MediaError, printable
from ..runtime.workers import Lost, Worker
from ..sources.entry import Entry
from .clip_reader import ClipReader, LostFile
from .probes import probe_entry
from .reader_pool import SECONDS_PER_ENTRY

_ERRORS: dict[str, type[Exception]] = {
    each.__name__: each for each in (EmptyPart, MediaError, FileNotFoundError)
}


@dataclass(frozen=True)
class GuardedReader(ClipReader):
    """A reader whose files are opened in a killable process, one for each process that reads.

    Args:
        limit: seconds that a file may take.
    """

    limit: float = SECONDS_PER_ENTRY
    workers: dict[int, Worker] = field(default_factory=dict, compare=False, repr=False)

    def part(
        self, entry: Entry, height: int, width: int, first: int = 0, at_most: int | None = None
    ) -> Clip:
        """As `ClipReader.part`.

        Raises:
            LostFile: if the process had to be killed, or died.
        """
        answer = self._ask(entry, (height, width, first, at_most))
        tensors = {name: torch.from_numpy(array) for name, array in answer["tensors"].items()}
        return put_together(tensors, answer["values"])

    def probe(self, entry: Entry) -> MediaInfo:
        """What the header of an entry's file says; errors as of `part`."""
        return MediaInfo(*self._ask(entry, None)["info"])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"workers": {}}

    def _ask(self, entry: Entry, part: tuple[Any, ...] | None) -> dict[str, Any]:
        own = os.getpid()
        if own not in self.workers:  # one that was forked off has those of its parent in the dict
            reader = ClipReader(self.fps, self.sample_rate, self.needs_sound)
            self.workers[own] = Worker(_Reading(reader), self.limit)
        answer = self.workers[own]((entry, part))
        if isinstance(answer, Lost):
            raise LostFile(f"{printable(entry.path)}: {answer.reason}")
        if "error" in answer:
            raise _ERRORS.get(answer["kind"], MediaError)(answer["error"])
        return answer


class _Reading:
    """Runs in the process: a part of an entry, or its header, as plain values and arrays."""

    def __init__(self, reader: ClipReader):
        self.reader = reader

    def __call__(self, request: tuple[Entry, tuple[Any, ...] | None]) -> dict[str, Any]:
        entry, part = request
        try:
            if part is None:
                return {"info": list(astuple(probe_entry(entry)))}
            tensors, values = take_apart(self.reader.part(entry, *part))
        except (MediaError, FileNotFoundError) as error:
            kind = next(name for name, each in _ERRORS.items() if isinstance(error, each))
            return {"error": str(error), "kind": kind}
        return {"tensors": {name: tensor.numpy() for name, tensor in tensors.items()}, "values": values}
