"""Coded clips to train on, by number: from shards, or tokenised here and now.

`ShardReader` (data/codes/shards.py) is one kind. `LiveCorpus` renders and codes clips of the embedded corpus
whenever they are asked for, and `CodedFiles` codes the files of a folder once and keeps their codes (a few
kilobytes a clip) in memory; both make a first try possible without `videolm encode`. Each of these has clips
of one size; `SizedClips` puts several together.
"""

import warnings
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, islice
from typing import Protocol, runtime_checkable

from ...data.codes.clip_format import ClipFormat
from ...data.codes.shards import CodedClip
from ...data.loading.clip_sources import FileSource, SyntheticSource
from ...data.runtime.progress import progress
from .clip_encoder import ClipEncoder, encode_clips

_TOGETHER = 32


@runtime_checkable
class CodedClips(Protocol):
    """What the language model's data come from."""

    clips: ClipFormat

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> CodedClip: ...

    def captions(self, index: int, /) -> tuple[str, ...]:
        """As the clip's, without reading its codes."""
        ...

    def long_caption(self, index: int, /) -> str | None: ...

    def source_of(self, index: int, /) -> str: ...

    def has(self, index: int, part: str, /) -> bool:
        """Whether the clip has codes of this name."""
        ...


class SizedClips:
    """The clips of several sizes under one numbering, those of the first size first.

    Args:
        parts: clips of one size each.
    """

    def __init__(self, parts: Sequence[CodedClips]):
        self.parts = tuple(parts)
        self.formats: tuple[ClipFormat, ...] = tuple(part.clips for part in self.parts)
        self._starts = list(accumulate((len(part) for part in self.parts[:-1]), initial=0))

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: int) -> CodedClip:
        part, own = self._place(index)
        return part[own]

    def size_of(self, index: int) -> int:
        """Which of `formats` a clip has."""
        return bisect_right(self._starts, index) - 1

    def captions(self, index: int) -> tuple[str, ...]:
        part, own = self._place(index)
        return part.captions(own)

    def long_caption(self, index: int) -> str | None:
        part, own = self._place(index)
        return part.long_caption(own)

    def source_of(self, index: int) -> str:
        part, own = self._place(index)
        return part.source_of(own)

    def has(self, index: int, name: str) -> bool:
        """Whether a clip has codes of this name."""
        part, own = self._place(index)
        return part.has(own, name)

    def _place(self, index: int) -> tuple[CodedClips, int]:
        size = self.size_of(index)
        return self.parts[size], index - self._starts[size]


class LiveCorpus:
    """Clips of the embedded corpus, rendered and coded when they are asked for."""

    def __init__(self, encoder: ClipEncoder, source: SyntheticSource):
        self.encoder, self.source = encoder, source
        self.clips = encoder.clips

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> CodedClip:
        return next(encode_clips(self.encoder, [self.source[index]]))[0]

    def captions(self, index: int) -> tuple[str, ...]:
        return self.source.captions(index)

    def long_caption(self, index: int) -> str | None:
        return None

    def source_of(self, index: int) -> str:
        return self.source.name(index)

    def has(self, index: int, part: str) -> bool:
        return part in self.clips.shapes


class CodedFiles:
    """The clips of files, coded once; files that cannot be used are left out with a warning.

    Raises:
        ValueError: if none can be used.
    """

    def __init__(self, encoder: ClipEncoder, source: FileSource):
        self.clips = encoder.clips
        self.skipped: list[tuple[str, str]] = []
        self._clips: list[CodedClip] = []
        readings = (source[index] for index in range(len(source)))
        with progress("encode", len(source)) as report:
            while group := list(islice(readings, _TOGETHER)):
                self.skipped += [(each.name, each.problem) for each in group if each.problem]
                for clips in encode_clips(encoder, group):
                    self._clips += clips
                report(len(self._clips) + len(self.skipped))
        if self.skipped:
            warnings.warn(f"left out {len(self.skipped)} files, such as {self.skipped[0][1]}", stacklevel=2)
        if not self._clips:
            raise ValueError(f"none of the {len(source)} files can be used, such as {self.skipped[0][1]}")

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> CodedClip:
        return self._clips[index]

    def captions(self, index: int) -> tuple[str, ...]:
        return self._clips[index].captions

    def long_caption(self, index: int) -> str | None:
        return self._clips[index].long_caption

    def source_of(self, index: int) -> str:
        return self._clips[index].source

    def has(self, index: int, part: str) -> bool:
        return part in self._clips[index].codes
