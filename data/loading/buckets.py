"""Batches of several shapes: images, videos and wide videos in one run, each batch of one shape.

The batches of a run are one endless stream. The bucket of batch n is a function of the seed and n alone, so
all processes of a distributed run take equally expensive steps; its clips are a function of the number of
earlier batches of that bucket. Joint training on images and videos: Yu et al. 2023
(arXiv:2310.05737, section 3.2).

    BucketSchedule:  batch n  ->  bucket, turn         (the same on every process)
    BucketBatches:   bucket, turn, rank  ->  draws of the bucket's own source  ->  batch
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import floor

import numpy as np
from jaxtyping import Int
from torch.utils.data import Dataset

from ..media.framing import nearest_aspects
from ..media.streams import printable
from ..sources.entry import IMAGE_SUFFIXES, Entry
from .clip_dataset import Item, collate
from .probes import Probes

# Shares are met exactly in every block of so many batches; a share below one batch in a block never comes up.
_BLOCK = 1000
# First word of the seed of the schedule, distinct from the seeds (seed, number) of clip_dataset.py.
_SCHEDULE = 2**32


@dataclass(frozen=True)
class Bucket:
    """Clips of one shape, which fill batches of their own.

    Args:
        num_frames: of a clip; 1 for images.
        height: of the frames, after a resize of the shorter side and a crop of the centre.
        width: likewise.
        batch_size: clips of a batch, on each process.
        share: of the batches (not of the clips), relative to the shares of the other buckets.
    """

    num_frames: int
    height: int
    width: int
    batch_size: int
    share: float = 1.0

    def check(self) -> None:
        """Raise a ValueError if a size is below 1 or the share is not positive.

        Whoever uses a bucket calls this; what a constructor raised, the parser of the command line would
        replace by "does not validate against any of the Union subtypes".
        """
        for name in ("num_frames", "height", "width", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if not 0 < self.share < float("inf"):
            raise ValueError(f"share is {self.share} of bucket {self}; expected a positive number")

    def __str__(self) -> str:
        return f"{self.num_frames} x {self.height}x{self.width}"

    @property
    def aspect(self) -> float:
        """Width / height."""
        return self.width / self.height

    def takes(self, entry: Entry) -> bool:
        """Whether a file may be long enough, as its name tells: images have one frame."""
        return self.num_frames == 1 or entry.path.suffix.lower() not in IMAGE_SUFFIXES


class ShuffledTurns:
    """The kind of every step of an endless stream, in a shuffled order that meets given quotas.

    Each block of steps holds every kind as often as its quota says, in an order that is shuffled anew.

    Args:
        quotas: steps of each kind in a block, sum(quotas) steps.
    """

    def __init__(self, quotas: Sequence[int], seed: int):
        self.quotas, self.seed = tuple(quotas), seed

    def __getitem__(self, step: int) -> tuple[int, int]:
        """The kind of a step, and how many earlier steps were of that kind."""
        block, position = divmod(step, sum(self.quotas))
        order = _shuffled_block(self.quotas, self.seed, block)
        kind = int(order[position])
        return kind, block * self.quotas[kind] + int(np.count_nonzero(order[:position] == kind))


class BucketSchedule:
    """The bucket of every batch of an endless stream.

    Each block of 1,000 batches holds every bucket by its share, rounded to whole batches (largest
    remainder).

    Raises:
        ValueError: if there are no buckets, one makes no batches, or has too small a share to come up.
    """

    def __init__(self, buckets: Sequence[Bucket], seed: int):
        if not buckets:
            raise ValueError("the list of buckets is empty; expected one or more, or no list")
        for bucket in buckets:
            bucket.check()
        self.buckets = buckets
        self.quotas = whole_parts([bucket.share for bucket in buckets], _BLOCK)
        self.turns = ShuffledTurns(self.quotas, seed)
        for bucket, quota in zip(buckets, self.quotas, strict=True):
            if quota == 0:
                raise ValueError(f"share {bucket.share:g} of bucket {bucket} is under 1 in {_BLOCK} batches")

    def __getitem__(self, batch: int) -> tuple[int, int]:
        """The number of the batch's bucket, and how many earlier batches were of that bucket."""
        return self.turns[batch]

    def batches_of(self, clips: int) -> int:
        """How many batches hold so many clips in the mean over the stream, rounded down."""
        parts = zip(self.quotas, self.buckets, strict=True)
        return clips * _BLOCK // sum(quota * bucket.batch_size for quota, bucket in parts)


class BucketBatches(Dataset):
    """Batches of one process, collated.

    Turn k of a bucket takes draws k * B * W to (k + 1) * B * W of its source, B being its batch size and W
    the number of processes, of which each takes every W-th draw.

    Args:
        schedule: the bucket of every batch.
        sources: of clips, one for each bucket; they map the number of a draw to an item.
        rank: number of this process.
        world_size: number of processes.
    """

    def __init__(
        self, schedule: BucketSchedule, sources: Sequence[Dataset], rank: int = 0, world_size: int = 1
    ):
        self.schedule, self.sources = schedule, sources
        self.rank, self.world_size = rank, world_size

    def __getitem__(self, batch: int) -> Item:
        bucket, turn = self.schedule[batch]
        num_draws = self.schedule.buckets[bucket].batch_size * self.world_size
        draws = range(turn * num_draws + self.rank, (turn + 1) * num_draws, self.world_size)
        return collate([self.sources[bucket][draw] for draw in draws])


def assign(
    entries: Sequence[Entry],
    buckets: Sequence[Bucket],
    probes: Probes | None = None,
    num_workers: int = 0,
) -> tuple[list[list[int]], dict[int, str]]:
    """Which entries each bucket draws from, and which have to be left out and why.

    Among buckets of equally many frames an entry belongs to the one whose aspect ratio is nearest to its
    own (by logarithm; to all of them if several have that ratio). A bucket that no entry is nearest to
    draws from all entries. Image files, known by their suffix, serve buckets of one frame only.

    Sizes are looked up only if buckets of equally many frames differ in their aspect ratio: `height` and
    `width` of the entry's line in captions.jsonl (as displayed, upright), else the file's header.

    Args:
        probes: of the entries' files, if they are kept.
        num_workers: processes that read headers, as `Probes.look_up` takes it.

    Returns:
        indices of entries for each bucket, and index -> reason for entries whose size cannot be read.

    Raises:
        ValueError: if a bucket has nothing to draw from, or a line gives an impossible size.
    """
    rivals = {
        bucket: [each for each in buckets if each.num_frames == bucket.num_frames] for bucket in buckets
    }
    compared = [bucket for bucket in buckets if _differ_in_aspect(rivals[bucket])]
    sized = [index for index, entry in enumerate(entries) if any(each.takes(entry) for each in compared)]
    aspects, unreadable = _aspects(entries, sized, probes or Probes(entries), num_workers)
    members = []
    for bucket in buckets:
        usable = (index for index in range(len(entries)) if index not in unreadable)
        able = [index for index in usable if bucket.takes(entries[index])]
        if not able:
            images = len(entries) - len(unreadable)
            raise ValueError(
                f"none of {len(entries)} clips can serve bucket {bucket}: "
                + "; ".join([f"{images} are images, {len(unreadable)} unreadable", *unreadable.values()][:2])
            )
        if bucket in compared:
            able = [index for index in able if bucket in _nearest(aspects[index], rivals[bucket])] or able
        members.append(able)
    return members, unreadable


def whole_parts(weights: Sequence[float], total: int) -> tuple[int, ...]:
    """`total` in whole parts by weight; what rounding down leaves goes to the largest remainders."""
    exact = [weight / sum(weights) * total for weight in weights]
    parts = [floor(part) for part in exact]
    by_remainder = sorted(range(len(parts)), key=lambda index: parts[index] - exact[index])
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return tuple(parts)


@lru_cache(maxsize=4)
def _shuffled_block(quotas: tuple[int, ...], seed: int, block: int) -> Int[np.ndarray, " batches"]:
    random = np.random.default_rng((_SCHEDULE, seed, block))
    return random.permutation(np.repeat(np.arange(len(quotas)), quotas))


def _nearest(aspect: float, buckets: Sequence[Bucket]) -> list[Bucket]:
    """The buckets whose aspect ratio is nearest."""
    return [buckets[index] for index in nearest_aspects(aspect, [bucket.aspect for bucket in buckets])]


def _differ_in_aspect(buckets: Sequence[Bucket]) -> bool:
    """Whether the aspect ratio decides which of these buckets an entry serves."""
    return len(_nearest(buckets[0].aspect, buckets)) < len(buckets)


def _aspects(
    entries: Sequence[Entry], indices: list[int], probes: Probes, num_workers: int
) -> tuple[dict[int, float], dict[int, str]]:
    """Aspect ratios of some entries, by index, and why others cannot be told."""
    sizes: dict[int, tuple[float, float] | str] = {}
    for index in indices:
        if (stated := _stated_size(entries[index])) is not None:
            sizes[index] = stated
    unknown = [index for index in indices if index not in sizes]
    probes.look_up(unknown, num_workers)
    sizes |= {index: _probed_size(probes, index) for index in unknown}
    aspects = {index: size[1] / size[0] for index, size in sizes.items() if not isinstance(size, str)}
    return aspects, {index: size for index, size in sizes.items() if isinstance(size, str)}


def _stated_size(entry: Entry) -> tuple[float, float] | None:
    """Height and width if the entry's line gives them."""
    if entry.extra.get("height") is None and entry.extra.get("width") is None:
        return None
    return _stated_side(entry, "height"), _stated_side(entry, "width")


def _stated_side(entry: Entry, name: str) -> float:
    value = entry.extra.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{entry.path}: {name} is {value!r}; expected both sides in pixels, or neither")
    return value


def _probed_size(probes: Probes, index: int) -> tuple[int, int] | str:
    """Height and width of an entry's frames as displayed, or why they are not known."""
    info = probes[index]
    if isinstance(info, str):
        return info
    if info.kind == "sound":
        return f"{printable(probes.entries[index].path)}: it is sound only"
    return info.height, info.width
