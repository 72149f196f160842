"""Coded clips to train on, by number: from shards, or tokenised here and now.

    ShardReader   codes on disk (data/codes/shards.py)
    LiveCorpus    clips of the embedded corpus, rendered and coded at every access
    CodedFiles    the files of a folder, coded once; a few kilobytes of codes a clip stay in memory
    SizedClips    several of these, of one size each, under one numbering

The second and the third spare a first try `videolm encode`.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, UInt8
from torch import Tensor

from ...data.codes.bucketed_shards import holds_shards, read_shards
from ...data.codes.clip_format import ClipFormat
from ...data.codes.clip_table import ClipColumns
from ...data.codes.shards import CodedClip, ShardReader
from ...data.environments.action_space import ActionSpace
from ...data.loading.clip_sources import FileSource, SyntheticSource, open_source
from ...data.loading.episode_source import EpisodeSource
from ...data.loading.probes import cache_folder
from ...data.loading.reading import Reading
from ...data.runtime.notes import notify
from ...data.runtime.progress import progress
from ...data.runtime.remote import is_address
from ...data.sources.held_out import group_of
from ...data.sources.selection import ClipSelection, conditions
from ..task import Task
from .clip_encoder import ClipEncoder, encode_windows, windows_of

_TOGETHER = 32


@runtime_checkable
class CodedClips(Protocol):
    """A source of coded clips of one size for the language model."""

    clips: ClipFormat

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> CodedClip: ...

    def captions(self, index: int, /) -> tuple[str, ...]:
        """As the clip's, without reading its codes."""
        ...

    def long_caption(self, index: int, /) -> str | None: ...

    def source_of(self, index: int, /) -> str: ...

    @property
    def columns(self) -> ClipColumns:
        """What decides which of them are used, a value for each."""
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
        part, own = self.place_of(index)
        return part[own]

    def size_of(self, index: int) -> int:
        """Which of `formats` a clip has."""
        return bisect_right(self._starts, index) - 1

    def captions(self, index: int) -> tuple[str, ...]:
        part, own = self.place_of(index)
        return part.captions(own)

    def long_caption(self, index: int) -> str | None:
        part, own = self.place_of(index)
        return part.long_caption(own)

    def source_of(self, index: int) -> str:
        part, own = self.place_of(index)
        return part.source_of(own)

    @cached_property
    def columns(self) -> ClipColumns:
        return ClipColumns.joined([part.columns for part in self.parts])

    def sizes_of(self, indices: Int[np.ndarray, " clips"]) -> Int[np.ndarray, " clips"]:
        """Which of `formats` each of some clips has."""
        return np.searchsorted(self._starts, indices, side="right") - 1

    @property
    def fingerprint(self) -> str:
        """Hex digits that change with the clips that are kept, on disk or in memory, and their captions."""
        kept = (part.fingerprint for part in self.parts if isinstance(part, ShardReader | CodedFiles))
        return hashlib.sha256(" ".join(kept).encode()).hexdigest()[:16]

    def place_of(self, index: int) -> tuple[CodedClips, int]:
        """The part that holds a clip, and its number there."""
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
        return encode_windows(self.encoder, windows_of(self.source[index]))[0]

    def original(self, index: int) -> UInt8[Tensor, "frames height width 3"]:
        """The frames that the codes are of."""
        return self.source[index].clips[0].frames

    def captions(self, index: int) -> tuple[str, ...]:
        return self.source.captions(index)

    def long_caption(self, index: int) -> str | None:
        return None

    def source_of(self, index: int) -> str:
        return self.source.name(index)

    @property
    def columns(self) -> ClipColumns:
        count = len(self)
        has_text = [bool(self.captions(index)) for index in range(count)]
        names = [self.source_of(index) for index in range(count)]
        return ClipColumns.of([self.clips.has_audio] * count, has_text, [""] * count, [""] * count, names)


class NoClips:
    """No clips of a size."""

    def __init__(self, clips: ClipFormat):
        self.clips = clips

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> CodedClip:
        raise IndexError(index)

    def captions(self, index: int) -> tuple[str, ...]:
        raise IndexError(index)

    def long_caption(self, index: int) -> str | None:
        raise IndexError(index)

    def source_of(self, index: int) -> str:
        raise IndexError(index)

    @property
    def columns(self) -> ClipColumns:
        return ClipColumns.of([], [], [], [], [])


class CodedFiles:
    """The clips of files, coded once; files that cannot be used are left out with a warning.

    Raises:
        ValueError: if none can be used.
    """

    def __init__(self, encoder: ClipEncoder, source: FileSource | EpisodeSource):
        self.clips, self.source = encoder.clips, source
        self.skipped: list[tuple[str, str]] = []
        self._windows: list[tuple[int, int]] = []  # of each clip: the number of its piece, and its own there
        self._clips: list[CodedClip] = []
        waiting: list[tuple[Reading, int]] = []
        with progress("encode", len(source)) as report:
            for number in range(len(source)):
                reading = source[number]
                self.skipped += [(reading.name, reading.problem)] if reading.problem else []
                windows = windows_of(reading)
                self._windows += [(number, window) for _, window in windows]
                waiting += windows
                while len(waiting) >= _TOGETHER or (waiting and number == len(source) - 1):
                    self._clips += encode_windows(encoder, waiting[:_TOGETHER])
                    del waiting[:_TOGETHER]
                report(number + 1)
        if self.skipped:
            notify(f"left out {len(self.skipped)} files, such as {self.skipped[0][1]}")
        if not self._clips:
            raise ValueError(f"none of the {len(source)} files can be used, such as {self.skipped[0][1]}")

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> CodedClip:
        return self._clips[index]

    def original(self, index: int) -> UInt8[Tensor, "frames height width 3"]:
        """The frames that the codes are of, read again."""
        piece, window = self._windows[index]
        return self.source[piece].clips[window].frames

    @property
    def fingerprint(self) -> str:
        """Hex digits that change with any code or caption."""
        digest = hashlib.sha256()
        for clip in self._clips:
            digest.update(json.dumps([clip.captions, clip.long_caption, clip.path]).encode())
            for name in sorted(clip.codes):
                digest.update(clip.codes[name].cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def captions(self, index: int) -> tuple[str, ...]:
        return self._clips[index].captions

    def long_caption(self, index: int) -> str | None:
        return self._clips[index].long_caption

    def source_of(self, index: int) -> str:
        return self._clips[index].source

    @property
    def columns(self) -> ClipColumns:
        return ClipColumns.of(
            ["audio" in clip.codes for clip in self._clips],
            [bool(clip.captions or clip.long_caption) for clip in self._clips],
            [group_of(clip.extra) for clip in self._clips],
            [clip.path for clip in self._clips],
            [clip.source for clip in self._clips],
        )


def clips_of_shards(shards: str, folder: Path) -> tuple[SizedClips, ClipEncoder]:
    """Codes on disk, and the tokenizers of a model folder, which they must come from.

    Raises:
        FileNotFoundError: if there are no shards or no tokenizers.
        ValueError: if the codes are of other tokenizers.
    """
    readers = read_shards(shards)
    first = readers[0].clips
    encoder = ClipEncoder.from_pretrained(
        folder,
        height=first.height,
        width=first.width,
        num_frames=first.num_frames,
        fps=first.fps,
        actions=first.action_space,
    )
    for reader in readers:
        stored = reader.clips
        size = {"num_frames": stored.num_frames, "height": stored.height, "width": stored.width}
        own = replace(encoder.of_size(**size).clips, variants=stored.variants, actions=stored.actions)
        if own != stored:
            raise ValueError(
                f"{shards} holds codes of other tokenizers than {folder} has "
                f"({stored.differences(own)}); encode the clips again"
            )
    encoder.clips = first
    return SizedClips(readers), encoder


def clips_of_source(
    selection: ClipSelection,
    folder: Path,
    tasks: Sequence[Task],
    super_resolution: int | None = None,
    large: Path | None = None,
    actions: ActionSpace | None = None,
) -> tuple[SizedClips, ClipEncoder]:
    """Clips that are coded here and now, with their tokenizers, those of a model folder.

    Args:
        tasks: those whose variants of a clip are coded beside it.
        super_resolution, large, actions: as of `ClipEncoder.from_pretrained`.

    Raises:
        FileNotFoundError, ValueError: if source or tokenizers are missing, or do not fit each other.
    """
    encoder = ClipEncoder.from_pretrained(
        folder,
        height=selection.height,
        width=selection.width,
        num_frames=selection.num_frames,
        fps=selection.fps,
        tasks=tasks,
        super_resolution=super_resolution,
        large=large,
        actions=actions,
    )
    entries = open_source(
        encoder.clips,
        selection.source,
        where=conditions(selection.where),
        count=selection.clips,
        split=selection.split,
        windows=None,
        seed=selection.seed,
        probe_cache=cache_folder(None),
    )
    if isinstance(entries, SyntheticSource):
        return SizedClips([LiveCorpus(encoder, entries)]), encoder
    return SizedClips([CodedFiles(encoder, entries)]), encoder


def clips_to_validate(
    source: str,
    formats: Sequence[ClipFormat],
    folder: Path,
    tasks: Sequence[Task],
    super_resolution: int | None = None,
    large: Path | None = None,
) -> SizedClips:
    """Clips of a set of one's own, numbered by size as those of training are.

    Args:
        source: shards of some of the sizes of training; or clips, which are coded here and now in the first.
        formats: of the clips of training.
        folder: of the model with the tokenizers.
        tasks: of the training.
        super_resolution, large: as of `ClipEncoder.from_pretrained`.

    Raises:
        FileNotFoundError, ValueError: if there are no such clips, or of other sizes or tokenizers.
    """
    if is_address(source) or holds_shards(Path(source)):
        found: Sequence[CodedClips] = read_shards(source)
    else:
        first = formats[0]
        selection = ClipSelection(
            source, height=first.height, width=first.width, num_frames=first.num_frames, fps=first.fps
        )
        found = clips_of_source(selection, folder, tasks, super_resolution, large)[0].parts
    of_size = {part.clips.name: part for part in found}
    names = [clips.name for clips in formats]
    if others := of_size.keys() - set(names):
        sizes = f"sizes {', '.join(sorted(others))}; expected some of {', '.join(names)}"
        raise ValueError(f"{source} holds clips of {sizes}, which are trained on")
    for clips in (each for each in formats if each.name in of_size):
        own = of_size[clips.name].clips
        altered = [name for name, each in own.variants.items() if clips.variants.get(name, each) != each]
        if difference := own.differences(clips, besides=["variants"]) or ", ".join(altered):
            raise ValueError(f"{source} is coded otherwise than what is trained on: {difference}")
    return SizedClips([of_size.get(clips.name) or NoClips(clips) for clips in formats])
