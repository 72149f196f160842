"""The one reader of clips: an entry of a list becomes a clip of the wanted size, or the reason why not.

Training draws random windows from whole entries, which it keeps in memory (`CachedReader`, clip_dataset.py);
encoding takes the first windows of each entry once (clip_sources.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..media.clip import Clip
from ..media.reading import read_clip
from ..media.streams import MediaError, printable
from ..sources.entry import Entry


@dataclass(frozen=True)
class ClipReader:
    """Reads entries at one frame rate, in any size.

    Args:
        fps: that clips are converted to.
        sample_rate: of the sound, mixed to mono; None for frames only.
        needs_sound: entries without sound are refused where sound is wanted; otherwise they are silent clips.
    """

    fps: float
    sample_rate: int | None
    needs_sound: bool

    def read(self, entry: Entry, height: int, width: int, at_most: int | None = None) -> Clip | str:
        """An entry from its start on as a clip, or why it cannot be read.

        Args:
            at_most: so many frames of it; all if not given.
        """
        try:
            clip = read_clip(
                entry.media,
                start=entry.start or 0.0,
                end=entry.end,
                fps=self.fps,
                num_frames=at_most,
                height=height,
                width=width,
                sample_rate=self.sample_rate,
                channels=1,
            )
        except (MediaError, FileNotFoundError) as error:
            return str(error)
        if self.sample_rate is None:
            return clip.silent()
        if clip.waveform is None and self.needs_sound:
            return f"{printable(entry.path)}: it has no sound, and sample_rate asks for it"
        return clip

    def problem_of_length(self, entry: Entry, clip: Clip, num_frames: int) -> str:
        """Why no window of `num_frames` can be cut from the clip of an entry; empty if one can."""
        if clip.num_frames >= num_frames:
            return ""
        found = f"{clip.num_frames} frames at {self.fps:g} fps"
        return f"{printable(entry.path)}: {found}; expected at least {num_frames}"


class CachedReader:
    """Whole entries of a list as clips, kept in memory up to `cache_bytes`; the others are decoded each time.

    Several data sets may share it: what two of them want in the same size is decoded and kept once.
    """

    def __init__(self, reader: ClipReader, entries: Sequence[Entry], cache_bytes: int):
        self.reader, self.entries = reader, entries
        self.free_bytes = cache_bytes
        self.cache: dict[tuple[int, int, int], Clip] = {}
        self.unusable: dict[tuple[int, int], str] = {}

    def read(self, index: int, height: int, width: int, num_frames: int) -> Clip | str:
        """A whole entry in this size, or why no clip of `num_frames` can be cut from it."""
        if (index, num_frames) in self.unusable:
            return self.unusable[index, num_frames]
        entry, key = self.entries[index], (index, height, width)
        clip = self.cache[key] if key in self.cache else self.reader.read(entry, height, width)
        if isinstance(clip, Clip):
            clip = self.reader.problem_of_length(entry, clip, num_frames) or clip
        if isinstance(clip, str):
            self.unusable[index, num_frames] = clip
        elif key not in self.cache and (size := _bytes(clip)) <= self.free_bytes:
            self.cache[key] = clip
            self.free_bytes -= size
        return clip


def _bytes(clip: Clip) -> int:
    return clip.frames.nbytes + (0 if clip.waveform is None else clip.waveform.nbytes)
