"""Codes on disk: what `videolm encode` writes and the language model trains on.

    SHARDS/index.json               format of the clips, fingerprints, the list of shards
           shard-00000.safetensors  visual and its variants int32 (n t h w), audio int16 (n levels frames),
                                    has_audio; of clips with actions as episodes.py says
           shard-00000.jsonl        a clip a line: captions, source, path, other keys of its entry
           shard-00000.json         its record: checksums, hashes of what its entries were made of, skipped
                                    entries, how much of its footage was used

Shards hold codes and captions, never ids: the vocabulary may change. A shard counts once its record is there:
a writer that was killed resumes with the missing shards, and no clip is lost or duplicated.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..runtime.checksums import file_hash
from ..runtime.files import read_json, replacing, write_json
from ..runtime.made_with import as_json, refuse_others, whole_path
from ..runtime.remote import RemoteFolder, is_address
from ..sources.entry import LONG_CAPTION
from ..sources.held_out import SplitKey, group_of
from .checked_files import CheckedFiles
from .clip_format import ClipFormat
from .clip_table import ClipColumns, ClipTable, open_table, path_in_source
from .episodes import EpisodeRows, check_episode, joined
from .footage import Footage
from .shard_index import FORMAT_VERSION, check_records, read_index
from .stacked_clips import StackedRows, stacked

_DTYPES = {"audio": torch.int16}
_VISUAL = torch.int32


@dataclass(frozen=True, eq=False)
class CodedClip:
    """One clip as codes.

    Of an episode, a clip with actions (`ClipFormat.actions`), t is its own number of latents, which may be
    more or fewer than the format's grid says: the grid is that of the window that a model is trained on.
    Latent 0 is coded alone, as a first frame; every later one covers `temporal_stride` frames. episodes.py
    says which actions lead to which latent.

    Args:
        codes: "visual" (t h w), and "audio" (levels frames) if the clip has sound; of an episode also
            "actions" (dimensions steps) and "outcome" (steps), steps = (t - 1) * temporal_stride.
        captions: what is seen, in one or several ways of saying it; empty if unknown.
        source: where the clip comes from; windows of one file share it.
        extra: whatever else a manifest says.
        path: of its file, relative to its source (data/sources/held_out.py); empty of the embedded corpus.
    """

    codes: dict[str, Tensor]
    captions: tuple[str, ...] = ()
    source: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    path: str = ""

    @property
    def long_caption(self) -> str | None:
        """What a captioner wrote, if one did."""
        return self.extra.get(LONG_CAPTION)


class ShardWriter:
    """Writes shards to a folder: shard n holds what the n-th range of a source's entries gave.

    A shard is written whole or not at all, and independently of the others, so several processes may each
    write some of the same folder. What is complete says its own record, shard-00000.json, written last;
    index.json, which readers read, is made from the records.

    Args:
        folder: new, empty, or holding shards of the same format and source to go on with.
        clips: what all clips have in common.
        source: from where and how the clips are taken; a folder is only continued from the same.

    Raises:
        ValueError: if the folder is a file, or holds codes of another format or source.
    """

    def __init__(self, folder: str | Path, clips: ClipFormat, source: dict[str, Any]):
        if clips.has_audio and max(clips.codebook_sizes) > torch.iinfo(_DTYPES["audio"]).max + 1:
            raise ValueError(f"audio codebooks of {clips.codebook_sizes} codes do not fit 16 bits")
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{folder} is a file; expected a folder for the codes")
        self.clips = clips
        self.source = as_json(source)
        self._records: dict[int, dict[str, Any]] = {}
        if (self.folder / "index.json").exists():
            self._check_index()
            self.load()

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """(source, reason) of what could not be used, once for all parts of a file."""
        found = ((name, reason) for record in self._in_order() for name, reason in record["skipped"])
        return list(dict.fromkeys(found))

    @property
    def num_clips(self) -> int:
        return sum(record["clips"] for record in self._records.values())

    @property
    def num_with_audio(self) -> int:
        return sum(record["with_audio"] for record in self._records.values())

    @property
    def footage(self) -> Footage:
        """How much of the source was used, as far as the shards tell; those of older versions do not."""
        known = [Footage.from_json(each["footage"]) for each in self._in_order() if "footage" in each]
        return sum(known, Footage())

    @property
    def numbers(self) -> set[int]:
        """Of the shards that are on record."""
        return set(self._records)

    @property
    def made_of(self) -> set[str]:
        """What the shards on record were made of; of those of older versions that is not known."""
        return {str(each) for record in self._records.values() for each in record.get("made_of", ())}

    def has(self, number: int, entries: Sequence[str]) -> bool:
        """Whether a shard is there, whole, that holds what these entries gave.

        Args:
            entries: what each was made of, as when it was written.
        """
        record = self._records.get(number)
        if record is None or record["entries"] != _digest(entries):
            return False
        return not record["clips"] or all(
            (path := self.folder / f"{record['name']}.{suffix}").is_file() and file_hash(path) == expected
            for suffix, expected in record["sha256"].items()
        )

    def write(
        self,
        number: int,
        clips: Sequence[CodedClip],
        entries: Sequence[str] = (),
        skipped: Iterable[tuple[str, str]] = (),
        footage: Footage | None = None,
    ) -> None:
        """Write what the `number`-th range of entries gave: clips, and the names and reasons of the others.

        Raises:
            ValueError: if codes have another shape than the format says.
        """
        for clip in clips:
            self._check(clip)
        if not (self.folder / "index.json").exists():
            self.finish()
        name = f"shard-{number:05d}"
        written = _write_shard(self.folder / name, list(clips), self.clips) if clips else {}
        absent = {"name": name, "clips": 0, "with_audio": 0}
        record = absent | written | {"entries": _digest(entries), "skipped": [list(each) for each in skipped]}
        record |= {"footage": footage.to_json()} if footage is not None else {}
        record |= {"made_of": [short_of(each) for each in entries]}
        write_json(self.folder / f"{name}.json", record)
        self._records[number] = record

    def load(self) -> None:
        """Take notice of the shards in the folder, which other processes may have written."""
        for path in self.folder.glob("shard-*.json"):
            record = read_json(path)
            try:
                shards = [record] if record["clips"] else []
                check_records(shards, record["skipped"])
                if record["name"] != path.stem or not isinstance(record["entries"], str):
                    raise ValueError("it is another shard's")
                if not isinstance(record.get("made_of", []), list):
                    raise ValueError("it does not say what it was made of")
                if "footage" in record:
                    Footage.from_json(record["footage"])
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path} is damaged: {error}; remove it to encode again") from error
            self._records[int(path.stem.removeprefix("shard-"))] = record

    def finish(self, num_shards: int | None = None) -> None:
        """Write the index of all shards that are there; of more than `num_shards` the others are removed."""
        for number in [each for each in self._records if num_shards is not None and each >= num_shards]:
            name = self._records.pop(number)["name"]
            for suffix in ("json", "jsonl", "safetensors"):
                (self.folder / f"{name}.{suffix}").unlink(missing_ok=True)
        fields = ("name", "clips", "with_audio", "bytes", "sha256")
        index = {
            "format_version": FORMAT_VERSION,
            "clips": self.clips.to_json(),
            "source": self.source,
            "shards": [{key: each[key] for key in fields} for each in self._in_order() if each["clips"]],
            "skipped": self.skipped,
        }
        write_json(self.folder / "index.json", index)

    def _in_order(self) -> list[dict[str, Any]]:
        return [self._records[number] for number in sorted(self._records)]

    def _check_index(self) -> None:
        index = read_index(self.folder)
        stored = ClipFormat.from_json(index["clips"]).to_json()  # with what older versions did not say
        if isinstance(source := index["source"].get("source"), str):
            index["source"]["source"] = whole_path(source)
        found, wanted = as_json(stored) | index["source"], self.clips.to_json() | self.source
        refuse_others(self.folder, found, wanted, "codes")

    def _check(self, clip: CodedClip) -> None:
        if self.clips.actions:
            check_episode(clip.codes, self.clips, clip.source)
            return
        shapes = self.clips.shapes
        for name, codes in clip.codes.items():
            if tuple(codes.shape) != shapes.get(name):
                raise ValueError(
                    f"{name} codes of {clip.source} have the shape {tuple(codes.shape)}; "
                    f"expected {shapes.get(name, 'none')}"
                )
        for name in shapes:
            if name != "audio" and name not in clip.codes:
                raise ValueError(f"{clip.source} has no {name} codes")


class ShardReader:
    """The clips of a folder by number; codes stay on disk until they are asked for.

    Captions are columns of a table (clip_table.py). A shard's checksum is compared when the shard is first
    used on a machine (checked_files.py).

    Args:
        folder: of `videolm encode`, or its address in object storage (remote.py): captions are copied at
            once, codes when they are first asked for.

    Raises:
        FileNotFoundError: if the folder, its index or a shard is missing.
        ValueError: if the index cannot be read, or a shard has another size than when it was written.
    """

    def __init__(self, folder: str | Path):
        self.remote = RemoteFolder(str(folder), "index.json") if is_address(folder) else None
        self.folder = self.remote.local if self.remote else Path(folder)
        self._index = read_index(self.folder)
        self.clips = ClipFormat.from_json(self._index["clips"])
        self.source: dict[str, Any] = self._index["source"]
        self.skipped: list[tuple[str, str]] = [(name, reason) for name, reason in self._index["skipped"]]
        self._shards: list[dict[str, Any]] = self._index["shards"]
        self._firsts = list(accumulate((shard["clips"] for shard in self._shards), initial=0))
        self._texts = [self._checked_size(shard) for shard in self._shards]
        self._table: ClipTable | None = open_table(self.folder, self._index, self._texts)
        self._checked = CheckedFiles(self.folder, len(self._shards))
        self._open: dict[int, Any] = {}

    def __len__(self) -> int:
        return self._firsts[-1]

    def __getitem__(self, index: int) -> CodedClip:
        line = self.table.line(index)
        number = bisect_right(self._firsts, index % len(self)) - 1
        row, shard = index % len(self) - self._firsts[number], self._shard(number)
        codes = {
            name: shard.codes(row, name)
            for name in self.clips.shapes
            if name != "audio" or line["has_audio"]
        }
        return CodedClip(codes, tuple(line["captions"]), line["source"], line["extra"], self._path(line))

    @property
    def table(self) -> ClipTable:
        if self._table is None:  # in a process that was not forked off the one that made this
            self._table = open_table(self.folder, self._index, self._texts)
        return self._table

    @property
    def columns(self) -> ClipColumns:
        return self.table.columns

    def captions(self, index: int) -> tuple[str, ...]:
        return tuple(self.table.line(index)["captions"])

    def long_caption(self, index: int) -> str | None:
        return self.table.line(index)["extra"].get(LONG_CAPTION)

    @property
    def fingerprint(self) -> str:
        """Hex digits that change with any code or caption."""
        return _digest([each for shard in self._shards for _, each in sorted(shard["sha256"].items())])

    def source_of(self, index: int) -> str:
        return self.table.line(index)["source"]

    def key_of(self, index: int) -> SplitKey:
        """By what a clip is held out of training or not."""
        line = self.table.line(index)
        return SplitKey(group_of(line["extra"]), self._path(line))

    def has(self, index: int, part: str) -> bool:
        """Whether a clip has codes of this name."""
        return part in self.clips.shapes and (part != "audio" or bool(self.columns.has_audio[index]))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}, "_table": None}  # workers map the files themselves

    def _path(self, line: dict[str, Any]) -> str:
        return path_in_source(line.get("path", ""), line["source"], self.source)

    def _shard(self, number: int) -> Any:
        if number not in self._open:
            path = self._file(self._shards[number], "safetensors")
            self._checked.check(number, path, self._shards[number]["sha256"]["safetensors"])
            try:
                opened = safe_open(path, framework="pt").__enter__()
            except SafetensorError as error:
                raise ValueError(f"{path} is damaged: {error}") from error
            if missing := sorted(self.clips.shapes.keys() - set(opened.keys())):
                raise ValueError(f"{path} has no {', '.join(missing)} codes, which the index speaks of")
            self._open[number] = self._rows(opened, self._shards[number]["clips"], path)
        return self._open[number]

    def _rows(self, opened: Any, clips: int, path: Path) -> EpisodeRows | StackedRows:
        if not self.clips.actions:
            return StackedRows(opened)
        try:
            return EpisodeRows(opened, self.clips, clips)
        except (SafetensorError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error

    def _file(self, shard: dict[str, Any], suffix: str) -> Path:
        name = f"{shard['name']}.{suffix}"
        if self.remote:
            self.remote.copy(name)
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; its {shard['clips']} clips must be encoded again")
        return path

    def _checked_size(self, shard: dict[str, Any]) -> Path:
        """The file of a shard's captions; its codes, if they are here, have the size that was written."""
        captions = self._file(shard, "jsonl")
        if not self.remote:
            codes = self._file(shard, "safetensors")
            if (size := codes.stat().st_size) != shard["bytes"]:
                raise ValueError(f"{codes} is damaged: it has {size} bytes; {shard['bytes']} were written")
        return captions


def _write_shard(path: Path, waiting: list[CodedClip], clips: ClipFormat) -> dict[str, Any]:
    """Two files beside each other; their entry in the index."""
    held = (joined if clips.actions else stacked)([clip.codes for clip in waiting], clips)
    tensors = {name: codes.to(_DTYPES.get(name, _VISUAL)) for name, codes in held.items()}
    has_audio = ["audio" in clip.codes for clip in waiting]
    tensors["has_audio"] = torch.tensor(has_audio)
    lines = [
        {"captions": clip.captions, "source": clip.source, "has_audio": sounds, "extra": clip.extra}
        | ({"path": clip.path} if clip.path else {})
        for clip, sounds in zip(waiting, has_audio, strict=True)
    ]
    with replacing(path.with_suffix(".safetensors")) as temporary:
        save_file(tensors, temporary)
    with replacing(path.with_suffix(".jsonl")) as temporary:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        temporary.write_text(text, encoding="utf-8")
    return {
        "name": path.name,
        "clips": len(waiting),
        "with_audio": sum(has_audio),
        "bytes": path.with_suffix(".safetensors").stat().st_size,
        "sha256": {suffix: file_hash(path.with_suffix(f".{suffix}")) for suffix in ("safetensors", "jsonl")},
    }


def short_of(made_of: str) -> str:
    """By what a record keeps what an entry was made of."""
    return _digest([made_of])


def _digest(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
