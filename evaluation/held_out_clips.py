"""The clips that a tokenizer is scored on: the last ones of a source, which training holds out."""

from collections.abc import Iterator
from typing import Any

from ..data.codes.clip_format import ClipFormat
from ..data.loading.clip_sources import open_source
from ..data.media.clip import Clip
from ..data.runtime.progress import progress
from ..data.sources.selection import ClipSelection, conditions


class HeldOutClips:
    """Clips of the last entries of a source, to go through once; with sound if the format has any.

    Args:
        selection: which clips; the format says at what size.
        description: of the progress bar.

    Raises:
        FileNotFoundError, ValueError: if the source cannot be read, or, when all entries have been read, if
            none of them can be used.
    """

    def __init__(self, selection: ClipSelection, clips: ClipFormat, description: str):
        if selection.clips < 1:
            raise ValueError(f"clips is {selection.clips}; expected at least 1")
        self.selection, self.format, self.progress = selection, clips, description
        self.entries = open_source(
            clips,
            selection.source,
            where=conditions(list(selection.where)),
            count=selection.clips,
            split=selection.split,
            seed=selection.seed,
        )
        self.skipped: list[str] = []

    @property
    def description(self) -> dict[str, Any]:
        """The source, for a report."""
        return self.entries.description

    def __iter__(self) -> Iterator[Clip]:
        """`skipped` is told why entries and clips are left out."""
        count, total = self.selection.clips, len(self.entries)
        numbers, has_any = range(max(0, total - count), total), False
        with progress(self.progress, len(numbers)) as report:
            for done, number in enumerate(numbers, start=1):
                reading = self.entries[number]
                self.skipped += [reading.problem] if reading.problem else []
                for clip in reading.clips:
                    if self.format.has_audio and clip.waveform is None:
                        self.skipped.append(f"{reading.name}: it has no sound")
                    else:
                        has_any = True
                        yield clip
                report(done)
        if not has_any:
            source, first = self.selection.source, self.skipped[0]
            raise ValueError(f"none of the last {count} entries of {source} can be used; the first: {first}")
