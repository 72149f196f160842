"""Clips to draw from: the embedded corpus, or the files of a folder or list.

A source maps the number of a draw to an item: a dict of `frames`, `caption`, `waveform` if sound is wanted,
and, if files had to be left out, `skipped` with their names and the reasons.
"""

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from .clip import Clip
from .manifest import Entry
from .media import MediaError, read_clip
from .synthetic import Corpus
from .timing import audio_samples

Item = dict[str, Any]


class SyntheticClips(Dataset):
    """Clips of the embedded corpus, counted from `first`."""

    def __init__(self, first: int, **settings: Any):
        self.first = first
        self.corpus = Corpus(**settings)

    def __getitem__(self, draw: int) -> Item:
        clip = self.corpus[self.first + draw]
        return item_of(clip, clip.caption or "")


class FileClips(Dataset):
    """Windows of files: draw d is file d % N of the order of pass d // N.

    A file that cannot be used is replaced by the next one of the order. Decoded files are kept in memory up
    to `cache_bytes`; the others are decoded again for each draw.

    Args:
        shuffle: each pass has an order of its own, and windows start anywhere; otherwise files come as they
            are listed, each from its start.
    """

    def __init__(
        self,
        entries: list[Entry],
        *,
        height: int,
        width: int,
        num_frames: int,
        fps: float,
        sample_rate: int | None,
        seed: int,
        shuffle: bool,
        cache_bytes: int,
    ):
        self.entries = entries
        self.num_frames, self.fps, self.sample_rate = num_frames, fps, sample_rate
        self.height, self.width = height, width
        self.seed, self.shuffle = seed, shuffle
        self.free_bytes = cache_bytes
        self.cache: dict[int, Clip] = {}
        self.unusable: dict[int, str] = {}

    def __getitem__(self, draw: int) -> Item:
        skipped: dict[str, str] = {}
        for turn in range(draw, draw + len(self.entries)):
            index = self._index(turn)
            clip = self._clip(index)
            if isinstance(clip, Clip):
                return self._item(clip, self.entries[index], draw) | {"skipped": skipped}
            skipped[_name(self.entries[index])] = clip
        first = next(iter(skipped.values()))
        raise ValueError(f"none of the {len(self.entries)} clips can be used; the first: {first}")

    def _index(self, draw: int) -> int:
        passes, position = divmod(draw, len(self.entries))
        if not self.shuffle:
            return position
        return int(np.random.default_rng((self.seed, passes)).permutation(len(self.entries))[position])

    def _clip(self, index: int) -> Clip | str:
        """A decoded entry, or why it cannot be used."""
        if index in self.cache:
            return self.cache[index]
        if index in self.unusable:
            return self.unusable[index]
        clip = self._read(self.entries[index])
        if isinstance(clip, str):
            self.unusable[index] = clip
        elif (size := _bytes(clip)) <= self.free_bytes:
            self.cache[index] = clip
            self.free_bytes -= size
        return clip

    def _read(self, entry: Entry) -> Clip | str:
        try:
            clip = read_clip(
                entry.path,
                start=entry.start or 0.0,
                end=entry.end,
                fps=self.fps,
                height=self.height,
                width=self.width,
                sample_rate=self.sample_rate,
                channels=1,
            )
        except (MediaError, FileNotFoundError) as error:
            return str(error)
        if clip.num_frames < self.num_frames:
            return f"{entry.path}: {clip.num_frames} frames at {self.fps:g} fps; {self.num_frames} are needed"
        if self.sample_rate is not None and clip.waveform is None:
            return f"{entry.path}: it has no sound, and sample_rate asks for it"
        return clip

    def _item(self, clip: Clip, entry: Entry, draw: int) -> Item:
        random = np.random.default_rng((self.seed, draw))
        last = clip.num_frames - self.num_frames if self.shuffle else 0
        window = clip.window(int(random.integers(last + 1)), self.num_frames)
        captions = entry.captions or ("",)
        return item_of(window, captions[int(random.integers(len(captions)))])


def item_of(clip: Clip, caption: str) -> Item:
    item: Item = {"frames": clip.frames, "caption": caption}
    if clip.sample_rate is not None:
        samples = audio_samples(clip.num_frames, clip.fps, clip.sample_rate)
        item["waveform"] = clip.sound(samples).mean(0, keepdim=True)
    return item


def collate(items: list[Item]) -> Item:
    """Items side by side as a batch; `skipped` of all of them is merged."""
    batch: Item = {"caption": [item["caption"] for item in items]}
    for name in ("frames", "waveform"):
        if name in items[0]:
            batch[name] = torch.stack([item[name] for item in items])
    skipped = {name: reason for item in items for name, reason in item.get("skipped", {}).items()}
    return batch | {"skipped": skipped} if skipped else batch


def _name(entry: Entry) -> str:
    """Tells the entry apart from other parts of its file."""
    return str(entry.path) if entry.start is None else f"{entry.path} from {entry.start:g} s"


def _bytes(clip: Clip) -> int:
    return clip.frames.nbytes + (0 if clip.waveform is None else clip.waveform.nbytes)
