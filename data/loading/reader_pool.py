"""Read the entries of a source in worker processes: a file that hangs or crashes is lost alone."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch

from ..codes.footage import Footage
from ..media.clip_tensors import put_together, take_apart
from ..runtime.workers import Lost, map_in_processes
from .clip_sources import Source
from .reading import Reading

SECONDS_PER_ENTRY = 120.0


def read_entries(
    source: Source, indices: Iterable[int], num_workers: int, seconds: float = SECONDS_PER_ENTRY
) -> Iterator[Reading]:
    """The readings of some pieces, in order.

    Args:
        source: of the pieces.
        indices: which.
        num_workers: processes that read; 0 reads in this one, without protection.
        seconds: that a piece may take in a worker.
    """
    if not num_workers:
        yield from (source[index] for index in indices)
        return
    indices = list(indices)
    answers = map_in_processes(_ReadEntry(source), indices, num_workers, seconds)
    for index, answer in zip(indices, answers, strict=True):
        if isinstance(answer, Lost):
            name = source.name(index)
            yield Reading(name, problem=f"{name}: {answer.reason}")
        else:
            yield replace(_received(answer), geometry=source.geometry(index))


class _ReadEntry:
    """Runs in a worker: a reading as plain values and arrays, without its geometry."""

    def __init__(self, source: Source):
        self.source = source

    def __call__(self, index: int) -> dict[str, Any]:
        reading = self.source[index]
        clips = []
        for clip in reading.clips:
            tensors, values = take_apart(clip)
            clips.append([{name: tensor.numpy() for name, tensor in tensors.items()}, values])
        return {
            "name": reading.name,
            "clips": clips,
            "captions": reading.captions,
            "extra": reading.extra,
            "problem": reading.problem,
            "bucket": reading.bucket,
            "first": reading.first,
            "path": reading.path,
            "codes": {name: codes.numpy() for name, codes in reading.codes.items()},
            "footage": None if reading.footage is None else reading.footage.to_json(),
        }


def _received(answer: dict[str, Any]) -> Reading:
    clips = tuple(
        put_together({name: torch.from_numpy(array) for name, array in arrays.items()}, values)
        for arrays, values in answer["clips"]
    )
    footage = None if answer["footage"] is None else Footage.from_json(answer["footage"])
    codes = {name: torch.from_numpy(array) for name, array in answer["codes"].items()}
    made = {"clips": clips, "captions": tuple(answer["captions"]), "footage": footage, "codes": codes}
    return Reading(**answer | made)
