"""Batches of examples: grouped by task and size, packed into rows of one length, or for validation.

Batch `step` of a process is a pure function of its number, so that a stopped run goes on exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from math import floor
from operator import itemgetter

from torch.utils.data import Dataset

from ...data.loading.buckets import ShuffledTurns, whole_parts
from ...lm.batch import Batch, Example
from ..task import Task
from .clip_pools import first_caption, usable
from .coded_clips import SizedClips
from .examples import ExampleMaker, TrainingExamples
from .mixture import Draw

_ROUNDING = 1e-6  # of shares that add up to 1


@dataclass(frozen=True)
class GroupRows:
    """How many rows a batch of one task and size has.

    Args:
        batch_size: rows, if there is no budget.
        batch_tokens: positions that the rows hold together at most, each with the longest text; a batch has
            one row at least.
    """

    maker: ExampleMaker
    batch_size: int
    batch_tokens: int | None = None

    def __call__(self, draw: Draw) -> int:
        if self.batch_tokens is None:
            return self.batch_size
        return max(self.batch_tokens // self.maker.longest(draw), 1)


class GroupedBatches(Dataset):
    """Batch `step` of one process: rows of one task and size.

    An epoch has as many steps of each size as show each of its clips once, in an order that is shuffled every
    epoch. Where tasks have batches of different lengths this holds in the mean.

    Args:
        size_shares: how often each size is drawn, in place of by its clips.
        rank, world_size: of this process among all; they share a step's task and size and take turns at its
            clips.
    """

    def __init__(
        self,
        examples: TrainingExamples,
        rows: GroupRows,
        size_shares: Sequence[float] | None = None,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.examples, self.rows = examples, rows
        self.rank, self.world_size = rank, world_size
        counts = examples.pools.sizes
        steps = [self._steps(size, count) if count else 0 for size, count in enumerate(counts)]
        if size_shares is not None:
            shares = [share if count else 0.0 for share, count in zip(size_shares, counts, strict=True)]
            parts = whole_parts(shares, sum(steps))
            steps = [max(part, 1) if count else 0 for part, count in zip(parts, counts, strict=True)]
        self.turns = ShuffledTurns(steps, examples.mixture.seed)

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return sum(self.turns.quotas)

    def __getitem__(self, step: int) -> Batch:
        size, turn = self.turns[step]
        draw = self.examples.mixture.draw(step, size=size)
        count = self.rows(draw)
        first_row = (turn * self.world_size + self.rank) * count
        rows = range(first_row, first_row + count)
        return Batch.collate([self.examples.example(draw, step, row) for row in rows])

    def _steps(self, size: int, clips: int) -> int:
        """That show so many clips of a size."""
        mixture = self.examples.mixture
        shares = zip(mixture.tasks, mixture.shares_of(0, size), strict=True)
        rows = sum(share * self.rows(Draw(task, size=size)) for task, share in shares if share)
        return max(floor(clips / (rows * self.world_size) + _ROUNDING), 1)


class PackedBatches(Dataset):
    """Batch `step` of one process: rows of limited length, filled with examples of any tasks and sizes.

    Examples are drawn one by one and put into the first row that has room (NaViT's patch n' pack, Dehghani et
    al. 2023, arXiv:2307.06304); the first that fits into none ends the batch and is left out, as one of many.
    A batch follows from seed, step and rank alone.

    Args:
        batch_size: rows.
        row_tokens: positions of a row.

    Attributes:
        steps: of an epoch.

    Raises:
        ValueError: if an example of some task is longer than a row.
    """

    def __init__(
        self,
        examples: TrainingExamples,
        batch_size: int,
        row_tokens: int,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.examples, self.batch_size, self.row_tokens = examples, batch_size, row_tokens
        self.rank, self.world_size = rank, world_size
        tasks, pools = examples.mixture.tasks, examples.pools
        draws = [Draw(task, size=size) for task in tasks for size in pools.sizes_of(task)]
        longest, draw = max(((examples.maker.longest(draw), draw) for draw in draws), key=itemgetter(0))
        if longest > row_tokens:
            raise ValueError(
                f"row_tokens is {row_tokens}; "
                f"task {draw.task.name} needs up to {longest} positions in one row"
            )
        # More examples than a batch can ever hold: their numbers are this process's in this step.
        shortest = min(len(examples.maker.layout(draw, 0)) for draw in draws)
        self.most = batch_size * (row_tokens // shortest + 1)
        self.steps = max(sum(pools.sizes) // (batch_size * world_size), 1)

    def __getitem__(self, step: int) -> Batch:
        first = (step * self.world_size + self.rank) * self.most
        rows: list[list[Example]] = [[] for _ in range(self.batch_size)]
        for number in range(first, first + self.most):
            size = self.examples.mixture.draw_size(step, number)
            draw = self.examples.mixture.draw(step, number, size=size)
            example = self.examples.example(draw, step, number)
            row = next((row for row in rows if sum(map(len, row)) + len(example) <= self.row_tokens), None)
            if row is None:
                break
            row.append(example)
        return Batch.of_rows([row for row in rows if row])


class ValidationBatches(Dataset):
    """Every held-out clip once for every task, the tasks taking turns.

    Captions are the first that came with the clips, whatever is mixed in training, and half of the latents
    are given to a task that begins with some.
    """

    def __init__(
        self, rows: GroupRows, tasks: Sequence[Task], clips: SizedClips, indices: Sequence[int]
    ):
        self.maker, self.clips = rows.maker, clips
        groups = []
        for task in tasks:
            for size, pool in groupby(usable(clips, indices, task), clips.size_of):
                draw, numbers = Draw(task, size=size), list(pool)
                count = rows(draw)
                starts = range(0, len(numbers), count)
                groups.append([(draw, numbers[start : start + count]) for start in starts])
        turns = zip_longest(*groups)
        self.batches = [batch for turn in turns for batch in turn if batch is not None]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch:
        draw, indices = self.batches[number]
        return Batch.collate(
            [
                self.maker.example(draw, self.clips[index], first_caption(self.clips, index))
                for index in indices
            ]
        )
