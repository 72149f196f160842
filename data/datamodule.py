"""Clips in batches, for training: from the embedded corpus or from a folder or list of files.

Training is one endless stream of draws. Epoch e takes draws e * clips to (e + 1) * clips, and draw d is a
pure function of the settings and d: clip d of the corpus, or, of N files, file d % N of an order shuffled
anew in every pass, with a window that follows from the seed and d. So any number of workers gives the
same batches, and a run that was stopped goes on with the batches it would have seen.
"""

import warnings
from collections.abc import Iterator
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import Dataset
from torchdata.stateful_dataloader import StatefulDataLoader
from torchdata.stateful_dataloader.sampler import StatefulDistributedSampler

from .clip_source import FileClips, Item, SyntheticClips, collate
from .manifest import read_manifest
from .synthetic import CORPORA, corpus_settings

_FIRST_VALIDATION_INDEX = 2**40  # of the corpus; training never gets there
_CACHE_BYTES = 2**30


class ClipDataModule(LightningDataModule):
    """Batches of clips of one size.

    A batch is a dict of `frames` (UInt8 "batch frames height width 3"), `caption` (a list of strings, empty
    without captions) and, if `sample_rate` is given, `waveform` (Float "batch 1 samples", as long as the
    frames). Files that cannot be used (unreadable, shorter than `num_frames`, silent where sound is
    wanted) are left out, each with one warning, and stand in `skipped` with the reason.

    Args:
        source: "synthetic" or "synthetic-plain", the embedded corpus, or a folder or captions.jsonl as
            `read_manifest` takes it.
        where: "key=value" conditions on the entries of the source.
        height: of the frames, after a resize of the shorter side and a crop of the centre.
        width: likewise.
        num_frames: of a clip; from longer files random windows are cut.
        fps: frames per second that files are converted to.
        sample_rate: of the sound, mixed to mono; None for frames only.
        batch_size: clips of a batch.
        clips: draws of an epoch.
        validation_clips: held out: the last entries of a source, or clips of the corpus that training
            never draws.
        num_workers: processes that make batches; 0 makes them in this one.
        seed: of the order, the windows and the corpus.
    """

    def __init__(
        self,
        source: str = "synthetic",
        where: list[str] | None = None,
        height: int = 64,
        width: int = 64,
        num_frames: int = 9,
        fps: float = 8.0,
        sample_rate: int | None = None,
        batch_size: int = 16,
        clips: int = 1024,
        validation_clips: int = 32,
        num_workers: int = 0,
        seed: int = 0,
    ):
        super().__init__()
        if not 1 <= batch_size <= clips:
            raise ValueError(f"batch_size is {batch_size} and clips {clips}; an epoch needs a whole batch")
        if validation_clips < 1:
            raise ValueError(f"validation_clips is {validation_clips}; expected 1 or more")
        self.source, self.where = source, conditions(where or [])
        self.shape = {"height": height, "width": width, "num_frames": num_frames, "fps": fps}
        self.sample_rate = sample_rate
        self.batch_size, self.clips, self.validation_clips = batch_size, clips, validation_clips
        self.num_workers, self.seed = num_workers, seed
        self.skipped: dict[str, str] = {}

    def setup(self, stage: str | None = None) -> None:
        """Read the list of files and hold the last ones out.

        Raises:
            FileNotFoundError: if the source does not exist.
            ValueError: if it is not well formed, or too small to hold `validation_clips` out.
        """
        settings = self.shape | {"sample_rate": self.sample_rate, "seed": self.seed}
        if self.source in CORPORA:
            if self.where:
                raise ValueError("where selects entries of a folder or list; the embedded corpus has none")
            settings |= corpus_settings(self.source)
            self.training = SyntheticClips(first=0, **settings)
            self.validation = SyntheticClips(first=_FIRST_VALIDATION_INDEX, **settings)
            return
        entries = read_manifest(self.source, self.where)
        held_out = self.validation_clips
        if len(entries) <= held_out:
            raise ValueError(
                f"{self.source} has {len(entries)} clips{self._selection()}; "
                f"too few to hold out validation_clips = {held_out}"
            )
        settings["cache_bytes"] = _CACHE_BYTES // max(self.num_workers, 1)
        self.training = FileClips(entries[:-held_out], shuffle=True, **settings)
        self.validation = FileClips(entries[-held_out:], shuffle=False, **settings)

    def train_dataloader(self) -> StatefulDataLoader:
        return self._loader(self.training, self.clips, whole_batches=True)

    def val_dataloader(self) -> StatefulDataLoader:
        return self._loader(self.validation, self.validation_clips, whole_batches=False)

    def on_before_batch_transfer(self, batch: Item, dataloader_idx: int) -> Item:
        """Take the names of files that were left out off the batch, and warn once about each."""
        for name, reason in batch.pop("skipped", {}).items():
            if name not in self.skipped:
                self.skipped[name] = reason
                warnings.warn(f"left out ({len(self.skipped)} so far): {reason}", stacklevel=2)
        return batch

    def _loader(self, dataset: Dataset, clips: int, whole_batches: bool) -> StatefulDataLoader:
        trainer = self.trainer
        sampler = Draws(
            range(clips),
            num_replicas=trainer.world_size if trainer else 1,
            rank=trainer.global_rank if trainer else 0,
            endless=whole_batches,
        )
        return StatefulDataLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            collate_fn=collate,
            drop_last=whole_batches,
        )

    def _selection(self) -> str:
        conditions = ", ".join(f"{key}={value}" for key, value in self.where.items())
        return f" with {conditions}" if conditions else ""


class Draws(StatefulDistributedSampler):
    """The numbers of an epoch's draws, dealt out to the processes of a distributed run.

    Args:
        draws: numbers of the first epoch.
        endless: later epochs go on counting, rather than repeat the first.
    """

    def __init__(self, draws: range, num_replicas: int, rank: int, endless: bool):
        super().__init__(draws, num_replicas, rank, shuffle=False)
        self.endless = endless

    def __iter__(self) -> Iterator[int]:
        for draw in super().__iter__():
            yield draw + (self.epoch * len(self.dataset) if self.endless else 0)

    def state_dict(self) -> dict[str, Any]:
        # The loader may ask for draws before Lightning has said which epoch a resumed run is in.
        return super().state_dict() | {"epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.set_epoch(state_dict["epoch"])


def conditions(where: list[str]) -> dict[str, str]:
    """["group=a", …] as a dict.

    Raises:
        ValueError: if one is not key=value.
    """
    pairs = [condition.partition("=") for condition in where]
    for condition, (key, equals, _) in zip(where, pairs, strict=True):
        if not (key and equals):
            raise ValueError(f"where is {condition!r}; expected key=value")
    return {key: value for key, _, value in pairs}
