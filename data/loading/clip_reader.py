"""Where clips come from: the embedded corpus, or a folder or list of files.

Both are sequences of entries. An entry gives one clip or several (windows of a long file) or none, with
the reason; reading it is a pure function of the settings and its number, so any process can do it.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from math import log
from typing import Any

from ..analysis.geometry import Geometry, SceneGeometry
from ..codes.clip_format import ClipFormat
from ..media.clip import Clip
from ..media.probe import probe
from ..media.reading import MediaError, read_clip
from ..media.streams import shown
from ..sources.manifest import Entry, read_manifest
from ..synthetic.corpus import CORPORA, Corpus, caption_of, corpus_settings


@dataclass(frozen=True, eq=False)
class Reading:
    """What one entry gave.

    Args:
        name: the entry.
        clips: of the right size and length; as many windows as there are.
        captions: of every one of them.
        extra: whatever else is known.
        problem: why there are no clips; empty if there are.
        bucket: the number of the format that the clips have, of a source of several.
        geometry: their flow and depth, if known.
    """

    name: str
    clips: tuple[Clip, ...] = ()
    captions: tuple[str, ...] = ()
    extra: dict[str, Any] | None = None
    problem: str = ""
    bucket: int = 0
    geometry: Geometry | None = None


class SyntheticSource:
    """The first `count` clips of an embedded corpus."""

    def __init__(self, clips: ClipFormat, name: str, count: int, split: str, seed: int):
        if count < 1:
            raise ValueError(f"the embedded corpus is endless and needs a number of clips; got {count}")
        self.corpus_name, self.count = name, count
        self.corpus = Corpus(
            height=clips.height,
            width=clips.width,
            num_frames=clips.num_frames,
            fps=clips.fps,
            sample_rate=clips.sample_rate or None,
            split=split,
            seed=seed,
            **corpus_settings(name),
        )
        self.description = {"source": name, "split": split, "seed": seed}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Reading:
        return Reading(
            self.name(index), (self.corpus[index],), self.captions(index), geometry=self.geometry(index)
        )

    def name(self, index: int) -> str:
        return f"{self.corpus_name}/{index}"

    def geometry(self, index: int) -> Geometry | None:
        return SceneGeometry(self.corpus, self.corpus.scene(index))

    def captions(self, index: int) -> tuple[str, ...]:
        scene = self.corpus.scene(index)
        return (caption_of(scene, scene.phrasing),)


class FileSource:
    """Entries of a folder or captions.jsonl, each cut into up to `windows` clips from its start on."""

    def __init__(self, clips: ClipFormat, source: str, where: dict[str, str], windows: int):
        if windows < 1:
            raise ValueError(f"windows is {windows}; expected at least 1")
        self.entries = read_manifest(source, where)
        self.clips, self.windows = clips, windows
        self.description = {"source": str(source), "where": where, "windows": windows}

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Reading:
        entry, name = self.entries[index], self.name(index)
        try:
            whole = self._read(entry)
        except (MediaError, FileNotFoundError) as error:
            return Reading(name, problem=str(error))
        size = self.clips.num_frames
        starts = range(0, whole.num_frames - size + 1, size)
        if not starts:
            problem = f"{whole.num_frames} frames at {self.clips.fps:g} fps; expected at least {size}"
            return Reading(name, problem=f"{shown(entry.path)}: {problem}")
        windows = tuple(whole.window(start, size) for start in starts)
        return Reading(name, windows, entry.captions, entry.extra)

    def name(self, index: int) -> str:
        entry = self.entries[index]
        return f"{entry.path}@{entry.start:g}" if entry.start else str(entry.path)

    def geometry(self, index: int) -> Geometry | None:
        return None

    def _read(self, entry: Entry) -> Clip:
        clip = read_clip(
            entry.media,
            start=entry.start or 0.0,
            end=entry.end,
            fps=self.clips.fps,
            num_frames=self.windows * self.clips.num_frames,
            height=self.clips.height,
            width=self.clips.width,
            sample_rate=self.clips.sample_rate or None,
            channels=1,
        )
        return clip if self.clips.has_audio else clip.silent()


class BucketSource:
    """Entries of a folder or list, each for the bucket that suits it.

    Of the formats of equally many frames the one of the nearest aspect ratio (by logarithm), and of these the
    longest that the entry fills: a photo goes where clips have one frame, a short film to the shorter ones.
    """

    def __init__(self, formats: Sequence[ClipFormat], source: str, where: dict[str, str], windows: int):
        first = FileSource(formats[0], source, where, windows)
        self.sources = [copy(first) for _ in formats]
        for each, clips in zip(self.sources, formats, strict=True):
            each.clips = clips
        self.description = first.description

    def __len__(self) -> int:
        return len(self.sources[0])

    def __getitem__(self, index: int) -> Reading:
        try:
            info, _ = probe(self.sources[0].entries[index].media, whole=False)
        except (MediaError, FileNotFoundError) as error:
            return Reading(self.name(index), problem=str(error))
        if info.kind == "sound":
            return Reading(self.name(index), problem=f"{self.name(index)}: it is sound only")
        reading = None
        for number in self._candidates(info.height, info.width):
            reading = replace(self.sources[number][index], bucket=number)
            if reading.clips:
                break
        assert reading is not None
        return reading

    def name(self, index: int) -> str:
        return self.sources[0].name(index)

    def geometry(self, index: int) -> Geometry | None:
        return None

    def _candidates(self, height: int, width: int) -> list[int]:
        """Numbers of formats, the longest first, one of each length."""
        formats = [source.clips for source in self.sources]

        def distance(number: int) -> float:
            return abs(log(formats[number].width / formats[number].height) - log(width / height))

        lengths = sorted({each.num_frames for each in formats}, reverse=True)
        of_length = ([n for n, each in enumerate(formats) if each.num_frames == length] for length in lengths)
        return [min(numbers, key=distance) for numbers in of_length]


Source = SyntheticSource | FileSource | BucketSource


def open_source(
    clips: ClipFormat | Sequence[ClipFormat],
    source: str,
    *,
    where: dict[str, str] | None = None,
    count: int = 0,
    split: str = "train",
    windows: int = 1,
    seed: int = 0,
) -> Source:
    """The entries of `source`: an embedded corpus (the first `count` clips of `split`), or any kind of list
    that `read_manifest` knows, for clips of one format or of several.

    Raises:
        FileNotFoundError: if there is no such folder or file.
        ValueError: if it has no entries, or is told what does not apply to it.
    """
    if source in CORPORA:
        if where:
            raise ValueError("where selects entries of a folder or list; the embedded corpus has none")
        if not isinstance(clips, ClipFormat):
            raise ValueError("the embedded corpus is rendered in one size; buckets need files")
        return SyntheticSource(clips, source, count, split, seed)
    if isinstance(clips, ClipFormat):
        return FileSource(clips, source, where or {}, windows)
    return BucketSource(clips, source, where or {}, windows)
