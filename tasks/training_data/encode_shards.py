"""Whole sources to shards of codes: the work of `videolm encode`.

The entries of a source are cut into pieces (short files, or some windows of a long one), and these into
ranges of about as many clips, each of which becomes one shard (in each bucket). A shard depends on its range,
the batch size and the tokenizers alone, so a resumed run, more workers or another engine give the same files.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path

from ...data.codes.bucketed_shards import write_buckets
from ...data.codes.footage import Footage
from ...data.codes.shards import CodedClip, ShardWriter, short_of
from ...data.loading.clip_sources import FileSource, open_source
from ...data.loading.probes import cache_folder
from ...data.loading.reader_pool import read_entries
from ...data.loading.reading import Reading
from ...data.runtime.device import device_of
from ...data.runtime.progress import progress
from ...data.sources.selection import ClipSelection, conditions
from .clip_encoder import ClipEncoder, encode_windows, windows_of
from .shard_settings import ShardSettings

_SECONDS_BETWEEN_INDICES = 20.0


@dataclass(frozen=True)
class Encoded:
    """The outcome of encoding a source.

    Args:
        clips: written in all.
        with_audio: of these.
        skipped: (entry, reason) of what could not be used.
        footage: how much of the source that is; nothing of the embedded corpus.
        windows: clips of a file, at most, if that was bounded.
    """

    clips: int
    with_audio: int
    skipped: list[tuple[str, str]]
    footage: Footage
    windows: int | None = None


class Ranges:
    """A source's pieces in ranges, and the folders that take their shards.

    Args:
        encoders: one, whose codes go to the folder itself, or one for each bucket, each with a folder in it.
        selection: source and entries; of its sizes none is read, as the encoders have theirs.
        out: folder of the shards.
        settings: a range has pieces of about `shard_size` clips; batches begin anew with each range.
        num_workers: processes that read the headers of files; 0 reads them in this one.

    Raises:
        ValueError: if the folder holds something else.
    """

    def __init__(
        self,
        encoders: Sequence[ClipEncoder],
        selection: ClipSelection,
        out: Path,
        settings: ShardSettings,
        num_workers: int = 0,
    ):
        formats = [encoder.clips for encoder in encoders]
        self.source = open_source(
            formats[0] if len(formats) == 1 else formats,
            selection.source,
            where=conditions(selection.where),
            count=selection.clips,
            split=selection.split,
            windows=settings.windows or None,
            seed=selection.seed,
            probe_cache=cache_folder(settings.probe_cache),
        )
        if isinstance(self.source, FileSource):
            self.source.plan(num_workers)
        self.encoders, self.windows = encoders, settings.windows or None
        self.batch_size = settings.batch_size
        weights = (self.source.weight(piece) for piece in range(len(self.source)))
        self.ranges = _ranges(weights, settings.shard_size)
        names = [clips.name for clips in formats]
        folders = [out] if len(encoders) == 1 else [out / name for name in names]
        if len(folders) > 1:
            write_buckets(out, names)
        self.writers = [
            ShardWriter(folder, encoder.clips, self.source.description)
            for folder, encoder in zip(folders, encoders, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.ranges)

    def pieces(self, number: int) -> range:
        return self.ranges[number]

    def missing(self) -> list[int]:
        """Numbers of the ranges that have not been encoded yet, or whose pieces or shards have changed."""
        return [
            number
            for number in range(len(self))
            if not all(
                number in writer.numbers and writer.has(number, self._made_of(number))
                for writer in self.writers
            )
        ]

    def changes(self, missing: Sequence[int]) -> str:
        """What is different from when the shards were written, in words; empty if nothing is.

        Args:
            missing: as `missing` says.
        """
        again = [number for number in missing if number in self.writers[0].numbers]
        before = self.writers[0].made_of
        if not again and all(number < len(self) for number in self.writers[0].numbers):
            return ""
        now = {short_of(each) for number in range(len(self)) for each in self._made_of(number)}
        changed = sum(short_of(each) not in before for number in again for each in self._made_of(number))
        pieces = sum(len(self.pieces(number)) for number in again)
        return (
            f"since these shards were written {changed} parts of the source are new or have changed, and "
            f"{len(before - now)} are gone or have changed; {pieces} in {len(again)} shards are encoded anew"
        )

    def encode(self, number: int, readings: Iterator[Reading]) -> None:
        """Write a range's shards; `readings` are those of its pieces, in order, and perhaps more."""
        made_of = self._made_of(number)
        parts = [_ShardPart(encoder, self.batch_size) for encoder in self.encoders]
        for reading in islice(readings, len(self.pieces(number))):
            parts[reading.bucket].add(reading)
        for writer, part in zip(self.writers, parts, strict=True):
            part.encode()
            writer.write(number, part.coded, made_of, part.skipped, part.footage)

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
        with_audio = sum(writer.num_with_audio for writer in self.writers)
        footage = sum((writer.footage for writer in self.writers), Footage())
        return Encoded(clips, with_audio, skipped, footage, self.windows)

    def _made_of(self, number: int) -> list[str]:
        return [self.source.made_of(piece) for piece in self.pieces(number)]


class _ShardPart:
    """What the pieces of a range give for one bucket; of frames no more than a batch and a piece are held.

    Attributes:
        coded: the clips so far.
        skipped: (entry, reason) of what could not be used.
        footage: how much of the entries was used; None of the embedded corpus.
    """

    def __init__(self, encoder: ClipEncoder, batch_size: int):
        self.encoder = encoder
        self.batch_size = batch_size if encoder.actions is None else 1  # episodes may be long
        self.waiting: list[tuple[Reading, int]] = []
        self.coded: list[CodedClip] = []
        self.skipped: list[tuple[str, str]] = []
        self.footage: Footage | None = None

    def add(self, reading: Reading) -> None:
        if reading.problem:
            self.skipped.append((reading.name, reading.problem))
        if reading.footage is not None:
            self.footage = (self.footage or Footage()) + reading.footage
        self.waiting += windows_of(reading)
        while len(self.waiting) >= self.batch_size:
            batch, self.waiting = self.waiting[: self.batch_size], self.waiting[self.batch_size :]
            self.coded += encode_windows(self.encoder, batch)

    def encode(self) -> None:
        """What is waiting still."""
        self.coded += encode_windows(self.encoder, self.waiting)
        self.waiting = []


def _ranges(weights: Iterable[int], most: int) -> list[range]:
    """Pieces of these weights in consecutive ranges, each of at most so much together or of one piece."""
    starts, weight, number = [0], 0, 0
    for number, each in enumerate(weights, start=1):
        if weight and weight + each > most:
            starts.append(number - 1)
            weight = 0
        weight += each
    return [range(start, end) for start, end in pairwise([*starts, number]) if end > start]


def encode_ranges(ranges: Ranges, num_workers: int) -> Encoded:
    """Encode the ranges that are missing, in this process.

    Args:
        num_workers: processes that read clips, where a file that hangs is given up; 0 reads in this one.

    Raises:
        ValueError: if no clip could be used.
    """
    missing = ranges.missing()
    if changes := ranges.changes(missing):
        print(changes)
    if missing:
        _encode_here(ranges, missing, num_workers)
    return ranges.finish()


def ranges_of(
    load: Callable[..., ClipEncoder],
    selection: ClipSelection,
    out: Path,
    settings: ShardSettings,
    device: str = "auto",
    num_workers: int = 0,
) -> Ranges:
    """Ranges whose encoders are made here and now, one for each size, all with the same tokenizers.

    Args:
        load: an encoder of the given num_frames, height and width.
        selection: its size counts where `settings` has no buckets.
        device: of the tokenizers; "auto" is a GPU if there is one.
        num_workers: processes that read the headers of files; 0 reads them in this one.

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
    return Ranges(encoders, selection, out, settings, num_workers)


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
    if encoded.footage.clips:
        bounded = f"; at most {encoded.windows} windows of a file" if encoded.windows else ""
        lines.append(f"{encoded.footage}{bounded}")
    if encoded.skipped:
        lines.append(f"skipped {len(encoded.skipped)}:")
        lines += [f"  {reason}" for _, reason in encoded.skipped[:names]]
        if len(encoded.skipped) > names:
            lines.append(f"  and {len(encoded.skipped) - names} more (index.json names all)")
    return lines


def _encode_here(ranges: Ranges, missing: list[int], num_workers: int) -> None:
    """In this process, with readers that work ahead into the next ranges."""
    wanted = chain.from_iterable(ranges.pieces(number) for number in missing)
    total, done = len(ranges.source), len(ranges.source) - sum(len(ranges.pieces(each)) for each in missing)
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
