"""Batches of clips for training, from the embedded corpus or from a folder or list of files.

Training is one endless stream of draws. Epoch e takes draws e * clips to (e + 1) * clips, and draw d is a
pure function of the settings and d: clip d of the corpus or, of N files, file d % N of the permutation of
pass d // N, in a random window seeded by d. So any number of workers gives the same batches, and a resumed
run continues with the batches it would have seen. Which files are held out says data/sources/held_out.py.

With buckets the stream is one of batches, each of one shape; see buckets.py.
"""

from collections.abc import Generator, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from lightning import LightningDataModule
from torch.utils.data import Dataset
from torchdata.stateful_dataloader import StatefulDataLoader
from torchdata.stateful_dataloader.sampler import StatefulDistributedSampler

from ..codes.trained_clips import TrainedClips
from ..runtime.notes import notify
from ..sources.entry import Entry
from ..sources.entry_identity import file_of
from ..sources.held_out import VALIDATION_SHARE, by_place, deciding, held_out, relative_path, split_key
from ..sources.manifest import read_manifest
from ..sources.selection import ClipSelection, conditions
from ..synthetic.corpus import corpus_of, is_corpus
from .buckets import Bucket, BucketBatches, BucketSchedule, assign
from .clip_dataset import FileClips, Item, SyntheticClips, collate
from .clip_reader import ClipReader, WindowReader
from .guarded_reader import GuardedReader
from .probes import Probes, cache_folder, probe_entry
from .training_amount import TrainingAmount

_FIRST_VALIDATION_INDEX = 2**40  # of the corpus; training never gets there
_CACHE_BYTES = 2**30
# Distance between the seeds of the buckets, so that they show different clips or orders. It exceeds any seed
# and any number of a draw, for numpy joins the words of a seed: (2**32, 0) and (0, 1) would be the same.
_SEED_STRIDE = 2**64


class ClipDataModule(LightningDataModule):
    """Batches of clips of one size, or of several sizes of which each batch has one.

    A batch is a dict of `frames` (UInt8 "batch frames height width 3"), `caption` (a list of strings, empty
    without captions) and, if `sample_rate` is given, `waveform` (Float "batch 1 samples", as long as the
    frames). Files that cannot be used (unreadable, shorter than `num_frames`, silent where sound is
    wanted) are left out, each with one warning, and stand in `skipped` with the reason.

    With `buckets` an epoch is as many batches as make up `clips` draws in the mean of the shares, rounded
    down, so that all epochs are equally long. `height`, `width`, `num_frames` and `batch_size` are then
    those of the validation data only. Which files serve which bucket says `buckets.assign`: among buckets of
    equally many frames the one of the nearest aspect ratio, and images those of one frame.

    Args:
        source: "synthetic", "synthetic-plain" or "synthetic-lasting", the embedded corpus, or a folder or
            captions.jsonl as `read_manifest` takes it.
        where: "key=value" conditions on the entries of the source.
        height: of the frames, after a resize of the shorter side and a crop of the centre.
        width: likewise.
        num_frames: of a clip; from longer files random windows are cut.
        fps: frames per second that files are converted to.
        sample_rate: of the sound, mixed to mono; None for frames only.
        batch_size: clips of a batch, on each process.
        clips: draws of an epoch.
        validation_clips: to validate on, at most: of the held-out entries of a source, or clips of the corpus
            that training never draws.
        validation_share: of the files (or groups, where entries have a `group`) that are held out.
        validation_source: files to validate on, of which none is trained on; nothing else is held out then.
        num_workers: processes that make batches, each with one that reads files and is killed if one makes
            it hang; 0 makes and reads all in this one, without protection.
        probe_cache: folder that keeps what headers of files say. If not given it is the run's, or
            $XDG_CACHE_HOME/videolm where there is no run.
        seed: of the order, the windows and the corpus.
        buckets: shapes of the training batches and how often each comes; None for one shape, that of
            `height`, `width`, `num_frames` and `batch_size`.

    Raises:
        ValueError: if a setting makes no batches.
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
        validation_share: float = VALIDATION_SHARE,
        validation_source: str | None = None,
        num_workers: int = 0,
        probe_cache: Path | None = None,
        seed: int = 0,
        buckets: list[Bucket] | None = None,
    ):
        super().__init__()
        self.buckets = buckets
        self.schedule = None if buckets is None else BucketSchedule(buckets, seed)
        self.shape = Bucket(num_frames, height, width, batch_size)
        self.shape.check()
        for bucket in self._training_shapes():
            if bucket.batch_size > clips:
                raise ValueError(
                    f"batch_size is {bucket.batch_size} and clips {clips}; an epoch needs a whole batch"
                )
        if validation_clips < 1:
            raise ValueError(f"validation_clips is {validation_clips}; expected 1 or more")
        if not 0 < validation_share < 1:
            raise ValueError(f"validation_share is {validation_share}; expected a share between 0 and 1")
        self.source, self.where = source, conditions(where or [])
        self.fps, self.sample_rate = fps, sample_rate
        self.clips, self.validation_clips = clips, validation_clips
        self.validation_share, self.validation_source = validation_share, validation_source
        self.num_workers, self.seed, self.probe_cache = num_workers, seed, probe_cache
        self.skipped: dict[str, str] = {}

    def setup(self, stage: str | None = None) -> None:
        """Read the list of files, hold some out and, unless only these are wanted, share the others out among
        the buckets.

        Raises:
            FileNotFoundError: if the source does not exist.
            ValueError: if it is not well formed, too small to hold any out, or has nothing for one of the
                buckets.
        """
        if is_corpus(self.source, self.where):
            if self.validation_source is not None:
                raise ValueError("the embedded corpus is validated on its own clips, not validation_source")
            self.validation = self._corpus(self.shape, self.seed, first=_FIRST_VALIDATION_INDEX)
            self.num_validated = self.validation_clips
            self.training = [self._corpus(*each, first=0) for each in self._training_streams()]
            return
        training, validation, source = self._divided
        self.num_validated = len(validation)
        self.validation = self._windows(
            self._files(validation, source), range(len(validation)), self.shape, self.seed, shuffle=False
        )
        if stage == "validate":
            return
        files = self._files(training, self.source)
        members: Sequence[Sequence[int]] = [range(len(training))]
        if self.buckets is not None:
            members, unreadable = assign(training, self.buckets, files.probes, self.num_workers)
            for index, reason in unreadable.items():
                self._leave_out(training[index].name, reason)
        self.training = [
            self._windows(files, indices, *each, shuffle=True)
            for indices, each in zip(members, self._training_streams(), strict=True)
        ]

    def contents(self) -> dict[str, Any]:
        """What the files are that a training follows from beside its settings: how many clips, and a hash of
        their names in the source, sizes and parts. Empty for the embedded corpus."""
        if is_corpus(self.source, self.where):
            return {}
        digest = sha256()
        for entry in sorted(self._entries, key=lambda each: each.name):
            place, file = relative_path(str(entry.path), self.source), file_of(entry)
            size = file.stat().st_size if file is not None and file.is_file() else None
            digest.update(f"{place!r} {size} {entry.start} {entry.end}\n".encode())
        return {"clips": len(self._entries), "sha256": digest.hexdigest()}

    def amount(self, processes: int = 1) -> TrainingAmount:
        """How much there is to train on; files that turn out to be unreadable are counted.

        Raises:
            FileNotFoundError, ValueError: as `setup`.
        """
        shapes = self._training_shapes()
        of = f"frames of {self.shape.height}x{self.shape.width}"
        if self.sample_rate is not None:
            of = f"frames at {self.fps:g} a second, with sound"
        step = f"{shapes[0].batch_size} clips of {shapes[0].num_frames} {of}"
        mean = float(shapes[0].batch_size)
        if self.schedule is not None:
            step = f"clips of one of {len(shapes)} sizes"
            shares = sum(shape.share for shape in shapes)
            mean = sum(shape.share * shape.batch_size for shape in shapes) / shares
        if is_corpus(self.source, self.where):
            return TrainingAmount(None, self.validation_clips, step)
        training, validation, _ = self._divided
        return TrainingAmount(len(training), len(validation), step, len(training) / (mean * processes))

    def teardown(self, stage: str) -> None:
        for clips in [*getattr(self, "training", []), getattr(self, "validation", None)]:
            if isinstance(clips, FileClips):
                clips.files.probes.save()

    @property
    def trained_clips(self) -> TrainedClips:
        """The size that a tokenizer is trained on here: that of validation, unless no bucket has it; then the
        longest and most frequent bucket's."""
        shapes = self._training_shapes()
        sizes = [(each.num_frames, each.height, each.width) for each in shapes]
        own = (self.shape.num_frames, self.shape.height, self.shape.width)
        longest = max(shapes, key=lambda each: (each.num_frames, each.share))
        num_frames, height, width = (
            own if own in sizes else (longest.num_frames, longest.height, longest.width)
        )
        return TrainedClips(height, width, num_frames, self.fps, self.sample_rate or 0)

    def train_dataloader(self) -> StatefulDataLoader:
        if self.schedule is None:
            return self._loader(self.training[0], self.clips, whole_batches=True)
        rank, world_size = self._rank()
        batches = BucketBatches(self.schedule, self.training, rank, world_size)
        num_batches = self.schedule.batches_of(self.clips // world_size)
        if num_batches == 0:
            raise ValueError(f"clips is {self.clips}; too few for a batch on each of {world_size} processes")
        return StatefulDataLoader(
            batches,
            batch_size=None,
            # Every process takes every batch: they share its bucket and divide its draws by rank.
            sampler=Draws(range(num_batches), num_replicas=1, rank=0, endless=True),
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )

    def val_dataloader(self) -> StatefulDataLoader:
        return self._loader(self.validation, self.num_validated, whole_batches=False)

    def on_before_batch_transfer(self, batch: Item, dataloader_idx: int) -> Item:
        """Take the names of files that were left out off the batch, and warn once about each."""
        for name, reason in batch.pop("skipped", {}).items():
            self._leave_out(name, reason)
        return batch

    def _leave_out(self, name: str, reason: str) -> None:
        if name not in self.skipped:
            self.skipped[name] = reason
            notify(f"left out ({len(self.skipped)} so far): {reason}")

    def _training_shapes(self) -> list[Bucket]:
        return [self.shape] if self.buckets is None else self.buckets

    def _training_streams(self) -> list[tuple[Bucket, int]]:
        """The shapes of training, each with the seed of its source."""
        shapes = self._training_shapes()
        return [(shape, self.seed + number * _SEED_STRIDE) for number, shape in enumerate(shapes)]

    @cached_property
    def _entries(self) -> list[Entry]:
        """All entries of the source; the list is read once."""
        return read_manifest(self.source, self.where)

    @cached_property
    def _divided(self) -> tuple[list[Entry], list[Entry], str]:
        """Entries to train on, entries to validate on (with buckets, of those that fit), and their source."""
        entries = self._entries
        if self.validation_source is not None:
            validation = self._fitting(read_manifest(self.validation_source, self.where))
            same = {entry.path.absolute() for entry in validation}
            training = [entry for entry in entries if entry.path.absolute() not in same]
            if not training or not validation:
                empty = self.source if not training else self.validation_source
                raise ValueError(f"{empty} has no clips of its own{self._selection()} that fit")
            return training, validation[: self.validation_clips], self.validation_source
        keys = deciding([split_key(entry, self.source) for entry in entries])
        fitting = {keys[index] for index in range(len(entries)) if self._fits(entries[index])}
        if len(set(keys)) < 2 or not fitting:
            found = f"{len(entries)} clips of {len(set(keys))} files or groups{self._selection()}"
            raise ValueError(
                f"{self.source} has {found}, {len(fitting)} of which fit; too few to hold one out: "
                "give --data.validation_source"
            )
        outside = held_out(keys, self.validation_share)
        if not outside & fitting:
            outside = held_out([key for key in keys if key in fitting], self.validation_share)
        training = [entry for entry, key in zip(entries, keys, strict=True) if key not in outside]
        chosen = [entries[index] for index in by_place(keys) if keys[index] in outside]
        return training, self._fitting(chosen)[: self.validation_clips], self.source

    def _fits(self, entry: Entry) -> bool:
        return self.buckets is None or self.shape.takes(entry)

    def _fitting(self, entries: list[Entry]) -> list[Entry]:
        return [entry for entry in entries if self._fits(entry)]

    def _corpus(self, shape: Bucket, seed: int, first: int) -> SyntheticClips:
        selection = ClipSelection(
            source=self.source,
            split="train",
            height=shape.height,
            width=shape.width,
            num_frames=shape.num_frames,
            fps=self.fps,
            seed=seed,
        )
        return SyntheticClips(corpus_of(selection, self.sample_rate), first)

    def _files(self, entries: list[Entry], source: str) -> WindowReader:
        reader, probe = ClipReader(self.fps, self.sample_rate, needs_sound=True), probe_entry
        if self.num_workers:
            reader = GuardedReader(self.fps, self.sample_rate, needs_sound=True)
            probe = reader.probe
        probes = Probes(entries, source, self._probe_folder(), probe)
        return WindowReader(reader, entries, probes, _CACHE_BYTES // max(self.num_workers, 1))

    def _probe_folder(self) -> Path:
        """In the run's folder, if the trainer has one."""
        root = Path(self.trainer.default_root_dir) if self.trainer else Path()
        in_a_run = self.probe_cache is None and root.absolute() != Path.cwd()
        return root / "probes" if in_a_run else cache_folder(self.probe_cache)

    def _windows(
        self, files: WindowReader, members: Sequence[int], shape: Bucket, seed: int, shuffle: bool
    ) -> FileClips:
        return FileClips(
            files,
            members,
            height=shape.height,
            width=shape.width,
            num_frames=shape.num_frames,
            seed=seed,
            shuffle=shuffle,
        )

    def _rank(self) -> tuple[int, int]:
        """The number of this process, and of how many."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(self, dataset: Dataset, clips: int, whole_batches: bool) -> StatefulDataLoader:
        rank, world_size = self._rank()
        sampler = Draws(range(clips), num_replicas=world_size, rank=rank, endless=whole_batches)
        return StatefulDataLoader(
            dataset,
            batch_size=self.shape.batch_size,
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
        # All that the sampler asks of the data is their number.
        super().__init__(cast(Dataset, draws), num_replicas, rank, shuffle=False)
        self.num_draws, self.endless = len(draws), endless

    def __iter__(self) -> Generator[int, Any, None]:
        for draw in super().__iter__():
            yield draw + (self.epoch * self.num_draws if self.endless else 0)

    def state_dict(self) -> dict[str, Any]:
        # The loader may ask for draws before Lightning has said which epoch a resumed run is in.
        return super().state_dict() | {"epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # A state taken after an epoch's last draw goes on with the next epoch, rather than with nothing.
        complete, yielded = divmod(state_dict["yielded"], self.num_samples)
        super().load_state_dict({"yielded": yielded})
        self.set_epoch(state_dict["epoch"] + complete)
