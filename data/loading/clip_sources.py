"""Sources of the clips that are encoded or scored: the embedded corpus, or a folder or list of files.

Both are sequences of entries. An entry gives one clip or several (windows of a long file) or none, with
the reason; reading it is a pure function of the settings and its number, so any process can do it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..analysis.geometry import Geometry, SceneGeometry
from ..codes.clip_format import ClipFormat
from ..media.clip import Clip
from ..media.framing import nearest_aspects
from ..media.probe import probe
from ..media.streams import MediaError
from ..sources.entry import Entry
from ..sources.manifest import read_manifest
from ..sources.selection import ClipSelection
from ..synthetic.caption_grammar import caption_of
from ..synthetic.corpus import corpus_of, is_corpus
from .clip_reader import ClipReader


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
    """The first clips of an embedded corpus.

    Args:
        selection: which corpus, how many clips and at what size.
        sample_rate: of the sound; None for silent clips.

    Raises:
        ValueError: if there is no such corpus, or no number of clips.
    """

    def __init__(self, selection: ClipSelection, sample_rate: int | None):
        if selection.clips < 1:
            raise ValueError(
                f"the embedded corpus is endless and needs a number of clips; got {selection.clips}"
            )
        self.selection = selection
        self.corpus = corpus_of(selection, sample_rate)
        self.description: dict[str, Any] = {
            "source": selection.source, "split": selection.split, "seed": selection.seed
        }  # fmt: skip

    def __len__(self) -> int:
        return self.selection.clips

    def __getitem__(self, index: int) -> Reading:
        return Reading(
            self.name(index), (self.corpus[index],), self.captions(index), geometry=self.geometry(index)
        )

    def name(self, index: int) -> str:
        return f"{self.selection.source}/{index}"

    def geometry(self, index: int) -> Geometry | None:
        return SceneGeometry(self.corpus, self.corpus.scene(index))

    def captions(self, index: int) -> tuple[str, ...]:
        scene = self.corpus.scene(index)
        return (caption_of(scene, scene.phrasing),)


class FileSource:
    """Entries of a folder or list, each cut into up to `windows` clips from its start on.

    Args:
        clips: size and sound of a clip.
        description: of the source, as shards keep it.
    """

    def __init__(
        self, clips: ClipFormat, entries: Sequence[Entry], windows: int, description: dict[str, Any]
    ):
        if windows < 1:
            raise ValueError(f"windows is {windows}; expected at least 1")
        self.clips, self.entries, self.windows = clips, entries, windows
        self.description = description
        sample_rate = clips.sample_rate if clips.has_audio else None
        self.reader = ClipReader(clips.fps, sample_rate, needs_sound=False)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Reading:
        entry, clips = self.entries[index], self.clips
        size = clips.num_frames
        whole = self.reader.read(entry, clips.height, clips.width, at_most=self.windows * size)
        if isinstance(whole, Clip):
            whole = self.reader.problem_of_length(entry, whole, size) or whole
        if isinstance(whole, str):
            return Reading(entry.name, problem=whole)
        starts = range(0, whole.num_frames - size + 1, size)
        windows = tuple(whole.window(start, size) for start in starts)
        return Reading(entry.name, windows, entry.captions, entry.extra)

    def name(self, index: int) -> str:
        return self.entries[index].name

    def geometry(self, index: int) -> Geometry | None:
        return None


class BucketSource:
    """Entries of a folder or list, each for the bucket that suits it.

    Of the formats of equally many frames the one of the nearest aspect ratio, and of these the longest that
    the entry fills: a photo goes where clips have one frame, a short film to the shorter ones.

    Args:
        sources: the same entries in each format.
    """

    def __init__(self, sources: Sequence[FileSource]):
        self.sources = sources
        self.description = sources[0].description

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
        of_length: dict[int, list[int]] = {}
        for number, source in enumerate(self.sources):
            of_length.setdefault(source.clips.num_frames, []).append(number)
        nearest = []
        for _, numbers in sorted(of_length.items(), reverse=True):
            formats = [self.sources[number].clips for number in numbers]
            aspects = [clips.width / clips.height for clips in formats]
            nearest.append(numbers[nearest_aspects(width / height, aspects)[0]])
        return nearest


Source = SyntheticSource | FileSource | BucketSource


def open_source(
    clips: ClipFormat | Sequence[ClipFormat],
    source: str,
    *,
    where: Mapping[str, str] | None = None,
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
    where = dict(where or {})
    if is_corpus(source, where):
        if not isinstance(clips, ClipFormat):
            raise ValueError("the embedded corpus is rendered in one size; buckets need files")
        selection = ClipSelection(
            source=source,
            clips=count,
            split=split,
            height=clips.height,
            width=clips.width,
            num_frames=clips.num_frames,
            fps=clips.fps,
            seed=seed,
        )
        return SyntheticSource(selection, clips.sample_rate or None)
    entries = read_manifest(source, where)
    description = {"source": str(source), "where": where, "windows": windows}
    if isinstance(clips, ClipFormat):
        return FileSource(clips, entries, windows, description)
    return BucketSource([FileSource(each, entries, windows, description) for each in clips])
