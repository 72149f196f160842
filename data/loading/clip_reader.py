"""The one reader of clips: a part of an entry becomes a clip of the wanted size, or the reason why not.

Training draws random windows (`WindowReader`, clip_dataset.py); encoding takes all windows of each entry once
(clip_sources.py). Both know the length of a file from its header (probes.py), so that only what is used is
decoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from ..media.clip import Clip
from ..media.probe import MediaInfo
from ..media.reading import read_clip
from ..media.streams import EmptyPart, MediaError, printable
from ..media.timing import exact_rate
from ..sources.entry import Entry
from .probes import Probes

# Shorter entries are read whole: many have one key frame, from which any window has to be decoded.
_WHOLE_SECONDS = 8.0
# So often a window is drawn anew in a file that is shorter than its header says.
_MOST_DRAWS = 4


class LostFile(MediaError):
    """A file at which its reader hung or died: none of its windows is tried again."""


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

    def read(
        self, entry: Entry, height: int, width: int, first: int = 0, at_most: int | None = None
    ) -> Clip | str:
        """A part of an entry as a clip, or why it cannot be read."""
        try:
            return self.part(entry, height, width, first, at_most)
        except LostFile:
            raise
        except (MediaError, FileNotFoundError) as error:
            return str(error)

    def part(
        self, entry: Entry, height: int, width: int, first: int = 0, at_most: int | None = None
    ) -> Clip:
        """A part of an entry as a clip.

        Args:
            first: frame at which it begins, counted from the entry's start.
            at_most: so many frames; all that follow if not given.

        Raises:
            EmptyPart: if the entry ends before.
            MediaError, FileNotFoundError: if it cannot be read.
        """
        start = (entry.start or 0.0) + float(first / exact_rate(self.fps))
        if entry.end is not None and start >= entry.end:
            raise EmptyPart(f"{printable(entry.path)}: it has no pictures after {start:g} s")
        clip = read_clip(
            entry.media,
            start=start,
            end=entry.end,
            fps=self.fps,
            num_frames=at_most,
            height=height,
            width=width,
            sample_rate=self.sample_rate,
            channels=1,
            sound=self.sample_rate is not None,
        )
        if self.sample_rate is not None and clip.waveform is None and self.needs_sound:
            raise MediaError(f"{printable(entry.path)}: it has no sound, and sample_rate asks for it")
        return clip

    def seconds(self, entry: Entry, info: MediaInfo) -> float:
        """How long an entry is, as its file's header says; 0 of an image."""
        end = info.seconds if entry.end is None else min(entry.end, info.seconds)
        return max(end - (entry.start or 0.0), 0.0)

    def num_frames(self, entry: Entry, info: MediaInfo) -> int:
        """How many frames an entry has at `fps`, as its file's header says."""
        if info.kind == "image":
            return 1
        return ceil(self.seconds(entry, info) * exact_rate(self.fps) - 1e-3)

    def problem_of_length(self, entry: Entry, found: int, num_frames: int) -> str:
        """Why no window of `num_frames` can be cut from an entry of `found` frames; empty if one can."""
        if found >= num_frames:
            return ""
        frames = f"{found} frames at {self.fps:g} fps"
        return f"{printable(entry.path)}: {frames}; expected at least {num_frames}"


class WindowReader:
    """Windows of the entries of a list, anywhere in them; of a long file nothing else is decoded.

    Short files are read whole and kept in memory up to `cache_bytes`, from which they are cut again with the
    same result. Several data sets may share a reader: what two of them want in the same size is kept once.
    """

    def __init__(self, reader: ClipReader, entries: Sequence[Entry], probes: Probes, cache_bytes: int):
        self.reader, self.entries, self.probes = reader, entries, probes
        self.free_bytes = cache_bytes
        self.cache: dict[tuple[int, int, int, int], Clip] = {}
        self.unusable: dict[tuple[int, int], str] = {}

    def read(self, index: int, height: int, width: int, num_frames: int, place: float = 0.0) -> Clip | str:
        """A window of an entry in this size, or why there is none.

        What is read follows from the file and the arguments alone, whatever was read before.

        Args:
            place: where in the entry, in [0, 1): 0 is its beginning, and close to 1 its end.
        """
        if (index, num_frames) in self.unusable:
            return self.unusable[index, num_frames]
        try:
            window = self._window(index, height, width, num_frames, place)
        except LostFile as error:
            window = str(error)
        except (MediaError, FileNotFoundError) as error:
            return str(error)  # perhaps of this window only
        if isinstance(window, str):
            self.unusable[index, num_frames] = window
        return window

    def _window(self, index: int, height: int, width: int, num_frames: int, place: float) -> Clip | str:
        """As `read`; a reason that is returned holds for all windows of the entry, one raised perhaps not."""
        entry, info = self.entries[index], self.probes[index]
        if isinstance(info, str):
            return info
        length = max(self.reader.num_frames(entry, info), num_frames)
        if self.reader.seconds(entry, info) <= _WHOLE_SECONDS:
            whole = self._whole(index, height, width, length)
            if isinstance(whole, str):
                return whole
            if problem := self.reader.problem_of_length(entry, whole.num_frames, num_frames):
                return problem
            return whole.window(int(place * (whole.num_frames - num_frames + 1)), num_frames)
        for _ in range(_MOST_DRAWS):
            first = int(place * (length - num_frames + 1))
            try:
                clip = self.reader.part(entry, height, width, first, num_frames)
                found = clip.num_frames
            except EmptyPart:
                found = 0
            else:
                if found == num_frames:
                    return clip
            if first == 0:
                return self.reader.problem_of_length(entry, found, num_frames)
            # It ends before its header says: once more, in what there is.
            length = max(first + found, num_frames)
        clip = self.reader.part(entry, height, width, 0, num_frames)
        return self.reader.problem_of_length(entry, clip.num_frames, num_frames) or clip

    def _whole(self, index: int, height: int, width: int, length: int) -> Clip | str:
        key = (index, height, width, length)
        if key in self.cache:
            return self.cache[key]
        clip = self.reader.read(self.entries[index], height, width, at_most=length)
        if isinstance(clip, Clip) and (size := _bytes(clip)) <= self.free_bytes:
            self.cache[key] = clip
            self.free_bytes -= size
        return clip


def _bytes(clip: Clip) -> int:
    return clip.frames.nbytes + (0 if clip.waveform is None else clip.waveform.nbytes)
