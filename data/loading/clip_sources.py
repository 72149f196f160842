"""Sources of the clips that are encoded or scored: the embedded corpus, or a folder or list of files.

Both are sequences of pieces. A piece of files is a short one or some windows of a long one, so that no film
is ever held whole; it gives its clips or none, with the reason. Reading it is a pure function of the settings
and its number, so any process can do it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..analysis.geometry import Geometry, SceneGeometry
from ..codes.clip_format import ClipFormat
from ..codes.footage import Footage
from ..media.framing import nearest_aspects
from ..media.probe import MediaInfo
from ..media.streams import EmptyPart, MediaError, printable
from ..runtime.made_with import whole_path
from ..sources.entry import Entry
from ..sources.entry_identity import MadeOf
from ..sources.held_out import split_key
from ..sources.manifest import read_manifest
from ..sources.selection import ClipSelection
from ..synthetic.corpus import corpus_of, is_corpus
from .clip_reader import ClipReader
from .episode_source import EpisodeSource
from .probes import Probes
from .reading import Reading

# Frames of a piece take about so much memory.
_PIECE_BYTES = 2**26
_MOST_WINDOWS = 64


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

    def made_of(self, index: int) -> str:
        """What a piece follows from: its number, and how the scene is told."""
        return " | ".join((self.name(index), *self.captions(index)))

    def weight(self, index: int) -> int:
        """How many clips a piece is expected to give; 1 of one that gives none."""
        return 1

    def geometry(self, index: int) -> Geometry | None:
        return SceneGeometry(self.corpus, self.corpus.scene(index))

    def captions(self, index: int) -> tuple[str, ...]:
        return self.corpus.captions(index)


@dataclass(frozen=True)
class Piece:
    """Some windows of an entry.

    Args:
        entry: its number.
        first: the first window.
        windows: how many, if the file is as long as its header says.
        is_last: whether the entry has none after these.
        formats: numbers of the formats that its clips may have, the first that it fills.
    """

    entry: int
    first: int
    windows: int
    is_last: bool
    formats: tuple[int, ...]


class FileSource:
    """Entries of a folder or list, cut into clips from their starts on.

    With several formats an entry goes to the one that suits it: of the formats of equally many frames the one
    of the nearest aspect ratio, and of these the longest that the entry fills. A photo goes where clips have
    one frame, a short film to the shorter ones.

    Args:
        formats: size and sound of a clip; what they do not say of their size is the same in all.
        entries: of which clips are made.
        windows: of an entry, at most; None for all.
        description: of the source, as shards keep it.
        probes: headers of the entries' files.

    Raises:
        ValueError: if `windows` is below 1.
    """

    def __init__(
        self,
        formats: ClipFormat | Sequence[ClipFormat],
        entries: Sequence[Entry],
        windows: int | None,
        description: dict[str, Any],
        probes: Probes | None = None,
    ):
        if windows is not None and windows < 1:
            raise ValueError(f"windows is {windows}; expected at least 1")
        self.formats = (formats,) if isinstance(formats, ClipFormat) else tuple(formats)
        self.entries, self.windows = entries, windows
        self.description = description | {"source": whole_path(description.get("source", ""))}
        self.keys = [split_key(entry, str(description.get("source", ""))) for entry in entries]
        self.probes = probes or Probes(entries)
        first = self.formats[0]
        self.reader = ClipReader(first.fps, first.sample_rate if first.has_audio else None, needs_sound=False)
        self._pieces: list[Piece] | None = None
        self._made_of = MadeOf(str(description.get("source", "")))
        self._made_of_entries: dict[int, str] = {}

    @property
    def pieces(self) -> list[Piece]:
        if self._pieces is None:
            self.plan()
        assert self._pieces is not None
        return self._pieces

    def plan(self, num_workers: int = 0) -> None:
        """Cut the entries into pieces; all headers are read for it, unless one window of each is wanted.

        Args:
            num_workers: processes that read headers, where a file that hangs is given up; 0 reads them here.
        """
        numbers = range(len(self.entries))
        if self.windows == 1:
            self._pieces = [Piece(number, 0, 1, True, ()) for number in numbers]
            return
        self.probes.look_up(numbers, num_workers)
        self._pieces = [piece for number in numbers for piece in self._pieces_of(number)]

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, number: int) -> Reading:
        piece = self.pieces[number]
        entry, info = self.entries[piece.entry], self.probes[piece.entry]
        if not isinstance(info, str) and info.kind == "sound":
            info = f"{printable(entry.path)}: it is sound only"
        if isinstance(info, str):
            return Reading(entry.name, problem=info, footage=Footage())
        reading = None
        for bucket in piece.formats or self._suitable(info):
            reading = self._read(piece, info, bucket)
            if reading.clips or piece.first:
                break
        assert reading is not None
        return reading

    def name(self, number: int) -> str:
        return self.entries[self.pieces[number].entry].name

    def made_of(self, number: int) -> str:
        """What a piece follows from: the contents of its file, what its source says, its windows."""
        piece = self.pieces[number]
        if piece.entry not in self._made_of_entries:
            self._made_of_entries[piece.entry] = self._made_of(self.entries[piece.entry])
        windows = () if self.windows == 1 else (piece.first, piece.windows, piece.is_last)
        return " ".join(map(str, (self._made_of_entries[piece.entry], *windows)))

    def weight(self, number: int) -> int:
        """How many clips a piece is expected to give; 1 of one that gives none."""
        return self.pieces[number].windows

    def geometry(self, number: int) -> Geometry | None:
        return None

    def _read(self, piece: Piece, info: MediaInfo, bucket: int) -> Reading:
        """The clips of a piece in one of the formats."""
        entry, clips = self.entries[piece.entry], self.formats[bucket]
        size, clip, problem = clips.num_frames, None, ""
        try:
            clip = self.reader.part(
                entry, clips.height, clips.width, piece.first * size, at_most=piece.windows * size
            )
        except EmptyPart as error:
            problem = "" if piece.first else str(error)  # else the file is shorter than its header says
        except (MediaError, FileNotFoundError) as error:
            problem = str(error)
        except Exception as error:  # of this entry alone: a run of many goes on, and names it
            problem = f"{printable(entry.path)}: {type(error).__name__}: {' '.join(str(error).split())}"
        if clip is not None and not piece.first:
            problem = self.reader.problem_of_length(entry, clip.num_frames, size)
        count = 0 if clip is None else clip.num_frames // size
        windows = tuple(clip.window(start * size, size) for start in range(count)) if clip else ()
        footage = self._footage(piece, info, clips, count, is_read=clip is not None or not problem)
        if problem:
            return Reading(entry.name, problem=problem, bucket=bucket, footage=footage)
        path, captions = self.keys[piece.entry].path, entry.captions
        return Reading(
            entry.name, windows, captions, entry.extra, "", bucket, None, piece.first, path, footage
        )

    def _footage(
        self, piece: Piece, info: MediaInfo, clips: ClipFormat, count: int, is_read: bool
    ) -> Footage:
        """How much of its entry a piece has used; the entry's length is counted with its first piece."""
        seconds, window = self.reader.seconds(self.entries[piece.entry], info), clips.num_frames / clips.fps
        if info.kind == "image":
            seconds = window = 0.0
        is_limited = self.windows is not None and piece.first + count >= self.windows
        ends = 0.0
        if is_read and piece.is_last and not is_limited:
            ends = min(max(seconds - (piece.first + count) * window, 0.0), seconds)
        files = 1 if count and not piece.first else 0
        used = min(count * window, seconds)
        return Footage(files, count, 0.0 if piece.first else seconds, used, ends)

    def _pieces_of(self, number: int) -> list[Piece]:
        """The pieces of an entry, by its file's header."""
        entry, info = self.entries[number], self.probes[number]
        if isinstance(info, str) or info.kind == "sound":
            return [Piece(number, 0, 1, True, ())]
        formats, found = self._suitable(info), self.reader.num_frames(entry, info)
        filled = [each for each in formats if found >= self.formats[each].num_frames]
        clips = self.formats[(filled or formats)[0]]
        total = max(found // clips.num_frames, 1)
        total = min(total, self.windows or total)
        window_bytes = clips.num_frames * clips.height * clips.width * 3
        together = min(max(_PIECE_BYTES // window_bytes, 1), _MOST_WINDOWS)
        return [
            Piece(
                number,
                first,
                min(together, total - first),
                first + together >= total,
                tuple(filled[:1] if first else formats[formats.index((filled or formats)[0]) :]),
            )
            for first in range(0, total, together)
        ]

    def _suitable(self, info: MediaInfo) -> list[int]:
        """Numbers of the formats that a file may have, the longest first, one of each length."""
        of_length: dict[int, list[int]] = {}
        for number, clips in enumerate(self.formats):
            of_length.setdefault(clips.num_frames, []).append(number)
        nearest = []
        for _, numbers in sorted(of_length.items(), reverse=True):
            aspects = [self.formats[number].width / self.formats[number].height for number in numbers]
            nearest.append(numbers[nearest_aspects(info.width / info.height, aspects)[0]])
        return nearest


Source = SyntheticSource | FileSource | EpisodeSource


def open_source(
    clips: ClipFormat | Sequence[ClipFormat],
    source: str,
    *,
    where: Mapping[str, str] | None = None,
    count: int = 0,
    split: str = "train",
    windows: int | None = 1,
    seed: int = 0,
    probe_cache: Path | None = None,
) -> Source:
    """The entries of `source`: an embedded corpus (the first `count` clips of `split`), or any kind of list
    that `read_manifest` knows, for clips of one format or of several; of one with actions, whole episodes.

    Args:
        windows: clips of a file, at most; None for all.
        probe_cache: folder that keeps what headers of files say; none keeps nothing.

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
    description = {"source": str(source), "where": where, "windows": windows or 0}
    if isinstance(clips, ClipFormat) and clips.actions:
        return EpisodeSource(clips, entries, description)
    return FileSource(clips, entries, windows, description, Probes(entries, source, probe_cache))
