"""Data sets of training clips: clips of the embedded corpus, or random windows of files.

They map the number of a draw to an item: a dict of `frames`, `caption`, `waveform` if sound is wanted, and
`skipped` if files were left out, with their names and the reasons.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ..media.clip import Clip
from ..media.timing import audio_samples
from ..synthetic.corpus import Corpus
from .clip_reader import WindowReader

Item = dict[str, Any]


class SyntheticClips(Dataset):
    """Clips of an embedded corpus, counted from `first`."""

    def __init__(self, corpus: Corpus, first: int):
        self.corpus, self.first = corpus, first

    def __getitem__(self, draw: int) -> Item:
        clip = self.corpus[self.first + draw]
        return item_of(clip, clip.caption or "")


class FileClips(Dataset):
    """Windows of files: draw d is member d % N of the order of pass d // N.

    A file that cannot be used is replaced by the next one of the order.

    Args:
        files: what is read.
        members: the entries of `files` that are drawn, by index.
        shuffle: each pass has an order of its own, and windows start anywhere; otherwise files come as they
            are listed, each from its start.
    """

    def __init__(
        self,
        files: WindowReader,
        members: Sequence[int],
        *,
        height: int,
        width: int,
        num_frames: int,
        seed: int,
        shuffle: bool,
    ):
        self.files, self.members = files, members
        self.num_frames, self.height, self.width = num_frames, height, width
        self.seed, self.shuffle = seed, shuffle
        self.order_of_pass = (-1, np.arange(0))

    def __getitem__(self, draw: int) -> Item:
        skipped: dict[str, str] = {}
        for turn in range(draw, draw + len(self.members)):
            index = self._index(turn)
            entry = self.files.entries[index]
            random = np.random.default_rng((self.seed, draw))
            place = float(random.random()) if self.shuffle else 0.0
            clip = self.files.read(index, self.height, self.width, self.num_frames, place)
            if isinstance(clip, Clip):
                captions = entry.captions or ("",)
                return item_of(clip, captions[int(random.integers(len(captions)))]) | {"skipped": skipped}
            skipped[entry.name] = clip
        first = next(iter(skipped.values()))
        raise ValueError(f"none of the {len(self.members)} clips can be used; the first: {first}")

    def _index(self, draw: int) -> int:
        passes, position = divmod(draw, len(self.members))
        if not self.shuffle:
            return self.members[position]
        if self.order_of_pass[0] != passes:
            random = np.random.default_rng((self.seed, passes))
            self.order_of_pass = (passes, random.permutation(len(self.members)))
        return self.members[self.order_of_pass[1][position]]


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
