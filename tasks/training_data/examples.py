"""Batches of sequences, each a pure function of its number: what makes a stopped run go on exactly.

step -> size, tasks, given latents (mixture) -> the next clips of those -> captions -> Layout.pack -> rows
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import groupby, zip_longest
from math import floor, prod
from operator import itemgetter

import numpy as np
import torch
from jaxtyping import Bool
from torch.utils.data import Dataset

from ...data.codes.shards import CodedClip
from ...data.loading.buckets import ShuffledTurns, whole_parts
from ...lm.batch import Batch, Example
from ...lm.vocabulary import Vocabulary
from ...tokenizers.text.frozen_encoder import TextEncoder
from ...tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from ..layout import Layout
from ..spans import Lengths
from ..task import Task
from .coded_clips import SizedClips
from .mixture import Draw, Mixture, shuffled

# Kondratyuk et al. 2024, arXiv:2312.14125, section 3.1; longer captions are cut in training.
MAX_TEXT = 64
_ROUNDING = 1e-6  # of shares that add up to 1


class ExampleMaker:
    """Coded clips to sequences.

    Args:
        lengths: of the sequences of each size without text.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        text_tokenizer: TextTokenizer | TextEncoder | None,
        lengths: Sequence[Lengths],
    ):
        self.vocabulary = vocabulary
        self.text_tokenizer = text_tokenizer
        self.lengths = lengths

    def layout(self, draw: Draw, num_pieces: int) -> Layout:
        lengths = replace(self.lengths[draw.size], text=num_pieces, given=draw.given)
        return Layout.of(draw.task, self.vocabulary, lengths)

    def longest(self, draw: Draw) -> int:
        """Positions of an example with the longest text."""
        has_text = draw.task.text != "none" and self.text_tokenizer is not None
        return len(self.layout(draw, MAX_TEXT if has_text else 0))

    def example(self, draw: Draw, clip: CodedClip, caption: str | None) -> Example:
        text = self.text(draw.task, caption)
        return self.layout(draw, _count(text)).example(clip.codes | text)

    def prompt(self, draw: Draw, clip: CodedClip, caption: str | None) -> tuple[Layout, Example]:
        """The example with its outputs blank, and its layout."""
        text = self.text(draw.task, caption)
        layout = self.layout(draw, _count(text))
        return layout, layout.prompt(clip.codes | text)

    def text(self, task: Task, caption: str | None) -> dict[str, torch.Tensor]:
        """The part of a caption, pieces or their embeddings; none if there is no text."""
        if task.text == "none" or caption is None or self.text_tokenizer is None:
            return {}
        text = torch.as_tensor(self.text_tokenizer.encode(caption, MAX_TEXT))
        return {"text": text} if len(text) else {}


def _count(text: dict[str, torch.Tensor]) -> int:
    return len(text["text"]) if text else 0


class Pools:
    """The clips that each task learns from, those of each size for themselves.

    Attributes:
        of: task's name, number of a size -> numbers of clips.
        sizes: for each size, how many clips some task learns from.

    Raises:
        ValueError: if no clip has what a task needs.
    """

    def __init__(self, clips: SizedClips, indices: Sequence[int], mixture: Mixture):
        self.of: dict[tuple[str, int], list[int]] = {}
        shown: list[set[int]] = [set() for _ in clips.formats]
        found = {task.name: usable(clips, indices, task) for task in mixture.tasks}
        for task in mixture.tasks:
            if not found[task.name]:
                needs = " and ".join(_needs(task)) + _way_out(mixture, found)
                raise ValueError(f"no clip has what task {task.name} needs: {needs}")
            for index in found[task.name]:
                size = clips.size_of(index)
                self.of.setdefault((task.name, size), []).append(index)
                shown[size].add(index)
        self.sizes = [len(each) for each in shown]

    def sizes_of(self, task: Task) -> list[int]:
        """The sizes of which a task has clips."""
        return [size for size in range(len(self.sizes)) if (task.name, size) in self.of]

    def served(self, tasks: Sequence[Task]) -> Bool[np.ndarray, "tasks sizes"]:
        """Whether each task has clips of each size."""
        sizes = range(len(self.sizes))
        return np.array([[size in self.sizes_of(task) for size in sizes] for task in tasks])


def _way_out(mixture: Mixture, found: Mapping[str, list[int]]) -> str:
    """What to say for the tasks that can be learnt, if any, with their weights relative to the least."""
    shares = zip(mixture.tasks, mixture.shares, strict=True)
    possible = {task.name: share for task, share in shares if found[task.name]}
    weights = ", ".join(f"{name}: {share / min(possible.values()):g}" for name, share in possible.items())
    return f"; for the others say --data.tasks '{{{weights}}}'" if possible else ""


class TrainingExamples:
    """Examples by number, over each task's clips of each size in an order shuffled every pass.

    Args:
        clips: all clips.
        pools: numbers of those to train on.
    """

    def __init__(self, maker: ExampleMaker, mixture: Mixture, clips: SizedClips, pools: Pools):
        self.maker, self.mixture, self.clips, self.pools = maker, mixture, clips, pools
        self.order: dict[tuple[int, int], tuple[int, list[int]]] = {}

    def example(self, draw: Draw, step: int, number: int) -> Example:
        """The example of this number among those of its size in the whole run, which step `step` shows."""
        index = self._index(draw, number)
        captions, long_caption = self.clips.captions(index), self.clips.long_caption(index)
        caption = self.mixture.caption(draw.task, step, number, captions, long_caption)
        clip = self.clips[index]
        if self.mixture.given_noise and "visual" in clip.codes:
            num_codes = prod(self.clips.formats[draw.size].factors)
            visual = self.mixture.noisy(draw, step, number, clip.codes["visual"], num_codes)
            clip = replace(clip, codes=clip.codes | {"visual": visual})
        return self.maker.example(draw, clip, caption)

    def _index(self, draw: Draw, number: int) -> int:
        """The clip of an example; pools of the same length share their order."""
        pool = self.pools.of[draw.task.name, draw.size]
        turn, position = divmod(number, len(pool))
        known = self.order.get((draw.size, len(pool)))
        if known is None or known[0] != turn:
            known = (turn, shuffled(self.mixture.seed, len(pool), turn).tolist())
            self.order[draw.size, len(pool)] = known
        return pool[known[1][position]]


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


def usable(clips: SizedClips, indices: Sequence[int], task: Task) -> list[int]:
    """The clips that have what a task needs: a fitting size, all its codes, a caption if it must have one."""
    fitting = task.fitting([each.grid[0] for each in clips.formats])
    return [
        index
        for index in indices
        if clips.size_of(index) in fitting
        and all(clips.has(index, part) for part in task.parts)
        and (task.text != "required" or texts(clips, index))
    ]


def texts(clips: SizedClips, index: int) -> list[str]:
    """All captions of a clip, a captioner's last."""
    long_caption = clips.long_caption(index)
    return [*clips.captions(index), *([long_caption] if long_caption else [])]


def first_caption(clips: SizedClips, index: int) -> str | None:
    return next(iter(texts(clips, index)), None)


def held_out(clips: SizedClips, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Numbers of the clips to train on and of those held out; all windows of a source are on one side.

    Raises:
        ValueError: if there are not two sources to divide.
    """
    sources = {clips.source_of(index) for index in range(len(clips))}
    if len(sources) < 2:
        raise ValueError(f"there are {len(sources)} clips; at least 2 are needed, one of them held out")
    ranked = sorted(sources, key=lambda source: sha256(f"{seed} {source}".encode()).digest())
    count = min(max(round(share * len(ranked)), 1), len(ranked) - 1)
    outside = set(ranked[:count])
    training = [index for index in range(len(clips)) if clips.source_of(index) not in outside]
    validation = [index for index in range(len(clips)) if clips.source_of(index) in outside]
    return training, validation


def _needs(task: Task) -> list[str]:
    captions = ["a caption"] if task.text == "required" else []
    encoded = [f"{name} codes (videolm encode --tasks {task.name})" for name in task.variants]
    plain = [f"{part} codes" for part in task.parts if part not in task.variants]
    return encoded + plain + captions
