"""The clips that a tokenizer is scored on: those of a source that training holds out."""

from collections.abc import Iterator
from typing import Any

from ..data.codes.clip_format import ClipFormat
from ..data.loading.clip_sources import FileSource, open_source
from ..data.media.clip import Clip
from ..data.runtime.progress import progress
from ..data.sources.held_out import VALIDATION_SHARE, by_place, deciding, held_out
from ..data.sources.selection import ClipSelection, conditions


class HeldOutClips:
    """Clips of the held-out entries of a source, to go through once; with sound if the format has any.

    With `split` "all" the entries that training does not hold out follow after these.

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
        self.numbers, self.note = self._chosen()

    @property
    def description(self) -> dict[str, Any]:
        """The source, for a report."""
        return self.entries.description

    def __iter__(self) -> Iterator[Clip]:
        """`skipped` is told why entries and clips are left out."""
        has_any = False
        with progress(self.progress, len(self.numbers)) as report:
            for done, number in enumerate(self.numbers, start=1):
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
            raise ValueError(
                f"none of the {len(self.numbers)} chosen entries of {source} can be used; the first: {first}"
            )

    def _chosen(self) -> tuple[list[int], str]:
        """Which entries, and what to say of it."""
        total, most = len(self.entries), self.selection.clips
        if not isinstance(self.entries, FileSource):
            return list(range(total)), ""
        keys = deciding(self.entries.keys)
        chosen = by_place(keys)
        is_divided = len(set(keys)) > 1 and self.selection.split != "all"
        if is_divided:
            outside = held_out(keys, VALIDATION_SHARE)
            chosen = [index for index in chosen if keys[index] in outside]
        chosen = chosen[:most]
        hint = ", those that training holds out (--split all: any)" if is_divided else ""
        return chosen, f"{len(chosen)} of {total} entries{hint}"
