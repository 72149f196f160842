"""Entries of a source read in other processes, where a file that hangs or crashes costs only itself."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from ..media.clip import Clip
from ..runtime.workers import Lost, in_order
from .clip_reader import Reading, Source

SECONDS_PER_ENTRY = 120.0


def read_entries(
    source: Source, indices: Iterable[int], num_workers: int, seconds: float = SECONDS_PER_ENTRY
) -> Iterator[Reading]:
    """The readings of some entries, in order.

    Args:
        source: of the entries.
        indices: which.
        num_workers: processes that read; 0 reads in this one, without protection.
        seconds: that an entry may take in a worker.
    """
    if not num_workers:
        yield from (source[index] for index in indices)
        return
    indices = list(indices)
    answers = in_order(_ReadAway(source), indices, num_workers, seconds)
    for index, answer in zip(indices, answers, strict=True):
        if isinstance(answer, Lost):
            name = source.name(index)
            yield Reading(name, problem=f"{name}: {answer.reason}")
        else:
            clips = tuple(_received(clip) for clip in answer.pop("clips"))
            captions = tuple(answer.pop("captions"))
            yield Reading(**answer, clips=clips, captions=captions, geometry=source.geometry(index))


class _ReadAway:
    """What runs in a worker: a reading as plain values and arrays."""

    def __init__(self, source: Source):
        self.source = source

    def __call__(self, index: int) -> dict[str, Any]:
        reading = self.source[index]
        return {
            "name": reading.name,
            "clips": [_sent(clip) for clip in reading.clips],
            "captions": reading.captions,
            "extra": reading.extra,
            "problem": reading.problem,
            "bucket": reading.bucket,
        }


def _sent(clip: Clip) -> dict[str, Any]:
    waveform = None if clip.waveform is None else clip.waveform.numpy()
    return {
        "frames": clip.frames.numpy(),
        "fps": clip.fps,
        "waveform": waveform,
        "sample_rate": clip.sample_rate,
        "caption": clip.caption,
    }


def _received(values: dict[str, Any]) -> Clip:
    waveform = values.pop("waveform")
    return Clip(
        **values | {"frames": torch.from_numpy(values["frames"])},
        waveform=None if waveform is None else torch.from_numpy(waveform),
    )
