"""Batches of examples: grouped by task and size, packed into rows of one length, or for validation.

Batch `step` of a process is a pure function of its number, so that a stopped run goes on exactly.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import floor
from operator import itemgetter

import numpy as np
from torch.utils.data import Dataset

from ...data.loading.buckets import ShuffledTurns, whole_parts
from ...lm.batch import Batch, Example
from ..task import Task
from .clip_pools import first_caption, usable
from .coded_clips import SizedClips
from .examples import ExampleMaker, TrainingExamples
from .mixture import Draw
from .packing import Block, plan_block

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


@dataclass(frozen=True)
class _Phase:
    """Steps in which tasks are drawn by the same shares.

    Args:
        first: step.
        block: how their examples are packed.
        before: examples of each size in earlier steps.
    """

    first: int
    block: Block
    before: Counter[int]


class PackedBatches(Dataset):
    """Batch `step` of one process: rows of limited length, filled with examples of any tasks and sizes.

    Which kinds of examples share a row is planned for blocks of steps (packing.py), each with a text of usual
    length; a row that has no room for a longer one shows its example without text, as one of many anyway.
    The examples of a size are numbered through from step to step and process to process, so that one pass
    shows each clip once. A batch follows from seed, step and rank alone.

    Args:
        batch_size: rows.
        row_tokens: positions of a row.
        usual_text: pieces that most texts have at most.

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
        usual_text: int,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.examples, self.batch_size, self.row_tokens = examples, batch_size, row_tokens
        self.rank, self.world_size = rank, world_size
        tasks, pools = examples.mixture.tasks, examples.pools
        self.kinds = [(task, size) for task in tasks for size in pools.sizes_of(task)]
        draws = [draw for task, size in self.kinds for draw in examples.mixture.draws_of(task, size)]
        longest, draw = max(((examples.maker.longest(draw), draw) for draw in draws), key=itemgetter(0))
        if longest > row_tokens:
            raise ValueError(
                f"row_tokens is {row_tokens}; "
                f"task {draw.task.name} needs up to {longest} positions in one row"
            )
        self.phases: list[_Phase] = []
        for first in examples.mixture.turning_points:
            before = self._numbered_before(first) if self.phases else Counter[int]()
            self.phases.append(_Phase(first, self._plan(first, usual_text), before))
        block = self.phases[-1].block
        self.steps = max(sum(pools.sizes) * block.steps // block.counts.total(), 1)

    def __getitem__(self, step: int) -> Batch:
        phase, number, position = self._place(step)
        first = (position * self.world_size + self.rank) * self.batch_size
        before = self._before(phase, number)
        rows = self._numbered(phase, number)[first : first + self.batch_size]
        return Batch.of_rows([self._row(step, row, before) for row in rows])

    def _row(self, step: int, row: list[tuple[int, int]], before: Counter[int]) -> list[Example]:
        """The examples of a row; the last ones without text if there is too little room."""
        draws = []
        for kind, number in row:
            task, size = self.kinds[kind]
            number += before[size]
            draws.append((self.examples.mixture.draw_given(task, size, step, number), number))
        found = [self.examples.example(draw, step, number) for draw, number in draws]
        for place in reversed(range(len(found))):
            if sum(map(len, found)) <= self.row_tokens:
                break
            draw, number = draws[place]
            found[place] = self.examples.example(draw, step, number, with_text=False)
        return found

    def _plan(self, step: int, usual_text: int) -> Block:
        mixture, maker = self.examples.mixture, self.examples.maker
        shares = tuple(
            float(mixture.size_shares[size] * mixture.shares_of(step, size)[mixture.tasks.index(task)])
            for task, size in self.kinds
        )
        lengths = tuple(
            max(maker.longest(draw, usual_text) for draw in mixture.draws_of(task, size))
            for task, size in self.kinds
        )
        return plan_block(shares, lengths, self.row_tokens, self.batch_size * self.world_size)

    def _place(self, step: int) -> tuple[int, int, int]:
        """The phase of a step, its block in the phase, and its place in the block."""
        phase = max(number for number, each in enumerate(self.phases) if each.first <= step)
        return phase, *divmod(step - self.phases[phase].first, self.phases[phase].block.steps)

    def _before(self, phase: int, number: int) -> Counter[int]:
        """How many examples of each size there are before a block."""
        before = Counter(self.phases[phase].before)
        for kind, count in self.phases[phase].block.counts.items():
            before[self.kinds[kind][1]] += number * count
        return before

    def _numbered(self, phase: int, number: int) -> list[list[tuple[int, int]]]:
        """The rows of a block in their order: kinds, and numbers among the examples of their size."""
        block, counts = self.phases[phase].block, Counter[int]()
        rows = []
        for place in block.order(self.examples.mixture.seed, phase, number).tolist():
            row = []
            for kind in block.rows[place]:
                size = self.kinds[kind][1]
                row.append((kind, counts[size]))
                counts[size] += 1
            rows.append(row)
        return rows

    def _numbered_before(self, step: int) -> Counter[int]:
        """How many examples of each size earlier steps have, of all processes."""
        phase, number, position = self._place(step)
        before = self._before(phase, number)
        rows = self._numbered(phase, number)[: position * self.world_size * self.batch_size]
        return before + Counter(self.kinds[kind][1] for row in rows for kind, _ in row)


class ValidationBatches(Dataset):
    """Every held-out clip once for every task, the tasks taking turns.

    Captions are the first that came with the clips, whatever is mixed in training, and half of the latents
    are given to a task that begins with some. Of a long clip there is one window, the same every time.
    """

    def __init__(
        self, rows: GroupRows, tasks: Sequence[Task], clips: SizedClips, indices: Sequence[int]
    ):
        self.maker, self.clips = rows.maker, clips
        groups = []
        for task in tasks:
            pool = usable(clips, indices, task)
            sizes = clips.sizes_of(pool)
            for size in np.unique(sizes).tolist():
                draw, numbers = Draw(task, size=size), pool[sizes == size].tolist()
                count = rows(draw)
                starts = range(0, len(numbers), count)
                groups.append([(draw, numbers[start : start + count]) for start in starts])
        turns = zip_longest(*groups)
        self.batches = [batch for turn in turns for batch in turn if batch is not None]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch:
        draw, indices = self.batches[number]
        return Batch.collate([self._example(draw, index) for index in indices])

    def _example(self, draw: Draw, index: int) -> Example:
        window = self.maker.window(draw.size, self.clips[index], np.random.default_rng(index))
        return self.maker.example(draw, window, first_caption(self.clips, index))
