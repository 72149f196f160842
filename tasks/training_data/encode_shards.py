"""Whole sources to shards of codes: the work of `videolm encode`.

The entries of a source are cut into ranges of equal length, and each range becomes one shard (in each
bucket). A shard depends on its range, the batch size and the tokenizers alone, so a resumed run, more workers
or another engine give the same files.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from ...data.codes.bucketed_shards import write_buckets
from ...data.codes.shards import CodedClip, ShardWriter
from ...data.loading.clip_sources import Reading, open_source
from ...data.loading.reader_pool import read_entries
from ...data.runtime.device import device_of
from ...data.runtime.progress import progress
from ...data.sources.selection import ClipSelection, conditions
from .clip_encoder import ClipEncoder, encode_clips
from .shard_settings import ShardSettings

_SECONDS_BETWEEN_INDICES = 20.0


@dataclass(frozen=True)
class Encoded:
    """The outcome of encoding a source.

    Args:
        clips: written in all.
        with_audio: of these.
        skipped: (entry, reason) of what could not be used.
    """

    clips: int
    with_audio: int
    skipped: list[tuple[str, str]]


class Ranges:
    """A source's entries in ranges, and the folders that take their shards.

    Args:
        encoders: one, whose codes go to the folder itself, or one for each bucket, each with a folder in it.
        selection: source and entries; of its sizes none is read, as the encoders have theirs.
        out: folder of the shards.
        settings: a range has `shard_size` entries; batches begin anew with each range.

    Raises:
        ValueError: if the folder holds something else.
    """

    def __init__(
        self,
        encoders: Sequence[ClipEncoder],
        selection: ClipSelection,
        out: Path,
        settings: ShardSettings,
    ):
        formats = [encoder.clips for encoder in encoders]
        self.source = open_source(
            formats[0] if len(formats) == 1 else formats,
            selection.source,
            where=conditions(selection.where),
            count=selection.clips,
            split=selection.split,
            windows=settings.windows,
            seed=selection.seed,
        )
        self.encoders = encoders
        self.shard_size, self.batch_size = settings.shard_size, settings.batch_size
        names = [clips.name for clips in formats]
        folders = [out] if len(encoders) == 1 else [out / name for name in names]
        if len(folders) > 1:
            write_buckets(out, names)
        self.writers = [
            ShardWriter(folder, encoder.clips, self.source.description)
            for folder, encoder in zip(folders, encoders, strict=True)
        ]

    def __len__(self) -> int:
        return -(-len(self.source) // self.shard_size)

    def entries(self, number: int) -> range:
        return range(number * self.shard_size, min((number + 1) * self.shard_size, len(self.source)))

    def missing(self) -> list[int]:
        """Numbers of the ranges that have not been encoded yet, or whose entries have changed."""
        return [
            number
            for number in range(len(self))
            if not all(writer.has(number, self._names(number)) for writer in self.writers)
        ]

    def encode(self, number: int, readings: Iterator[Reading]) -> None:
        """Write a range's shards; `readings` are those of its entries, in order, and perhaps more."""
        coded: list[list[CodedClip]] = [[] for _ in self.encoders]
        skipped: list[list[tuple[str, str]]] = [[] for _ in self.encoders]
        left = len(self.entries(number))
        while left:
            batch = list(islice(readings, min(left, self.batch_size)))
            left -= len(batch)
            for bucket, encoder in enumerate(self.encoders):
                members = [reading for reading in batch if reading.bucket == bucket]
                coded[bucket] += chain.from_iterable(encode_clips(encoder, members))
                skipped[bucket] += [(each.name, each.problem) for each in members if each.problem]
        for writer, clips, problems in zip(self.writers, coded, skipped, strict=True):
            writer.write(number, clips, self._names(number), problems)

    def finish(self) -> Encoded:
        """Write the indices of what is there.

        Raises:
            ValueError: if no clip could be used.
        """
        for writer in self.writers:
            writer.load()
            writer.finish(len(self))
        skipped = [each for writer in self.writers for each in writer.skipped]
        clips = sum(writer.num_clips for writer in self.writers)
        if not clips:
            reason = skipped[0][1]
            raise ValueError(f"none of the {len(self.source)} entries can be used; the first: {reason}")
        return Encoded(clips, sum(writer.num_with_audio for writer in self.writers), skipped)

    def _names(self, number: int) -> list[str]:
        return [self.source.name(index) for index in self.entries(number)]


def encode_ranges(ranges: Ranges, num_workers: int) -> Encoded:
    """Encode the ranges that are missing, in this process.

    Args:
        num_workers: processes that read clips, where a file that hangs is given up; 0 reads in this one.

    Raises:
        ValueError: if no clip could be used.
    """
    missing = ranges.missing()
    if missing:
        _encode_here(ranges, missing, num_workers)
    return ranges.finish()


def ranges_of(
    load: Callable[..., ClipEncoder],
    selection: ClipSelection,
    out: Path,
    settings: ShardSettings,
    device: str = "auto",
) -> Ranges:
    """Ranges whose encoders are made here and now, one for each size, all with the same tokenizers.

    Args:
        load: an encoder of the given num_frames, height and width.
        selection: its size counts where `settings` has no buckets.
        device: of the tokenizers; "auto" is a GPU if there is one.

    Raises:
        FileNotFoundError, ValueError: if the source or the folder cannot be used.
    """
    sizes = [(selection.num_frames, selection.height, selection.width)]
    if settings.buckets is not None:
        sizes = sizes_of(settings.buckets)
    first, *others = ({"num_frames": size[0], "height": size[1], "width": size[2]} for size in sizes)
    encoder = load(**first)
    encoders = [encoder, *(encoder.of_size(**size) for size in others)]
    encoder.to(device_of(device))
    return Ranges(encoders, selection, out, settings)


def sizes_of(buckets: str) -> list[tuple[int, int, int]]:
    """"17x128x128,1x128x128" as numbers.

    Raises:
        ValueError: if it is another text, or names a size twice.
    """
    sizes = []
    for name in buckets.split(","):
        match = re.fullmatch(r"\s*(\d+)x(\d+)x(\d+)\s*", name)
        if match is None or (size := tuple(map(int, match.groups()))) in sizes:
            raise ValueError(f"bucket {name!r}: expected different FRAMESxHEIGHTxWIDTH, such as 17x128x128")
        sizes.append(size)
    return sizes


def summary(encoded: Encoded, names: int = 5) -> list[str]:
    """The outcome in lines, with the first entries that were skipped."""
    lines = [f"{encoded.clips} clips, {encoded.with_audio} with sound"]
    if encoded.skipped:
        lines.append(f"skipped {len(encoded.skipped)}:")
        lines += [f"  {reason}" for _, reason in encoded.skipped[:names]]
        if len(encoded.skipped) > names:
            lines.append(f"  and {len(encoded.skipped) - names} more (index.json names all)")
    return lines


def _encode_here(ranges: Ranges, missing: list[int], num_workers: int) -> None:
    """In this process, with readers that work ahead into the next ranges."""
    wanted = chain.from_iterable(ranges.entries(number) for number in missing)
    total, done = len(ranges.source), len(ranges.source) - sum(len(ranges.entries(each)) for each in missing)
    readings = read_entries(ranges.source, wanted, num_workers)
    with progress("encode", total, completed=done) as report:

        def reported() -> Iterator[Reading]:
            for count, reading in enumerate(readings, start=done + 1):
                yield reading
                report(count)

        stream, indexed = reported(), time.monotonic()
        for number in missing:
            ranges.encode(number, stream)
            if time.monotonic() - indexed > _SECONDS_BETWEEN_INDICES:
                for writer in ranges.writers:
                    writer.finish()
                indexed = time.monotonic()
