"""Batches of sequences, each a pure function of its number: what makes a stopped run go on exactly.

step -> tasks and given latents (mixture) -> the next clips of those tasks -> captions -> Layout.pack -> rows
"""

from collections.abc import Sequence
from hashlib import sha256
from itertools import zip_longest

import torch
from torch.utils.data import Dataset

from ..data.shards import CodedClip
from ..lm.batch import Batch
from ..lm.batch import Sequence as Example
from ..lm.vocabulary import Vocabulary
from ..tokenizers.text import TextTokenizer
from ..tokenizers.text_encoder import TextEncoder
from .coded_clips import CodedClips
from .layout import Layout
from .mixture import Draw, Mixture, shuffled
from .spans import Lengths
from .task import Task

# Kondratyuk et al. 2024, arXiv:2312.14125, section 3.1; longer captions are cut in training.
MAX_TEXT = 64


class ExampleMaker:
    """Coded clips to sequences."""

    def __init__(
        self, vocabulary: Vocabulary, text_tokenizer: TextTokenizer | TextEncoder | None, lengths: Lengths
    ):
        self.vocabulary = vocabulary
        self.text_tokenizer = text_tokenizer
        self.lengths = lengths

    def layout(self, draw: Draw, num_pieces: int) -> Layout:
        lengths = dict(self.lengths.__dict__) | {"text": num_pieces, "given": draw.given}
        return Layout.of(draw.task, self.vocabulary, Lengths(**lengths))

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


class TrainingExamples:
    """Examples by number, over each task's clips in an order shuffled every pass.

    Args:
        clips: all clips.
        indices: those to train on.

    Raises:
        ValueError: if no clip has what a task needs.
    """

    def __init__(self, maker: ExampleMaker, mixture: Mixture, clips: CodedClips, indices: Sequence[int]):
        self.maker, self.mixture, self.clips = maker, mixture, clips
        self.pools = {task.name: usable(clips, indices, task) for task in mixture.tasks}
        for task in mixture.tasks:
            if not self.pools[task.name]:
                raise ValueError(f"no clip has what task {task.name} needs: {' and '.join(_needs(task))}")
        self.order: dict[int, tuple[int, list[int]]] = {}

    def example(self, draw: Draw, step: int, number: int) -> Example:
        """The example of this number in the whole run, which step `step` shows."""
        index = self._index(self.pools[draw.task.name], number)
        captions, long_caption = self.clips.captions(index), self.clips.long_caption(index)
        caption = self.mixture.caption(draw.task, step, number, captions, long_caption)
        return self.maker.example(draw, self.clips[index], caption)

    def _index(self, pool: list[int], number: int) -> int:
        """The clip of an example; pools of the same size share their order."""
        turn, position = divmod(number, len(pool))
        known = self.order.get(len(pool))
        if known is None or known[0] != turn:
            known = (turn, shuffled(self.mixture.seed, len(pool), turn).tolist())
            self.order[len(pool)] = known
        return pool[known[1][position]]


class GroupedBatches(Dataset):
    """Batch `step` of one process: rows of one task.

    Args:
        rank, world_size: of this process among all; they share a step's task and take turns at its clips.
    """

    def __init__(self, examples: TrainingExamples, batch_size: int, rank: int = 0, world_size: int = 1):
        self.examples, self.batch_size = examples, batch_size
        self.rank, self.world_size = rank, world_size

    def __getitem__(self, step: int) -> Batch:
        draw = self.examples.mixture.draw(step)
        first_row = (step * self.world_size + self.rank) * self.batch_size
        rows = range(first_row, first_row + self.batch_size)
        return Batch.collate([self.examples.example(draw, step, row) for row in rows])


class PackedBatches(Dataset):
    """Batch `step` of one process: rows of limited length, filled with examples of any tasks.

    Examples are drawn one by one and put into the first row that has room (NaViT's patch n' pack, Dehghani et
    al. 2023, arXiv:2307.06304); the first that fits into none ends the batch and is left out, as one of many.
    A batch follows from seed, step and rank alone.

    Args:
        batch_size: rows.
        row_tokens: positions of a row.

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
        lengths = []
        for task in examples.mixture.tasks:
            text = MAX_TEXT if task.text != "none" and examples.maker.text_tokenizer is not None else 0
            lengths.append(len(examples.maker.layout(Draw(task), 0)))
            longest = len(examples.maker.layout(Draw(task), text))
            if longest > row_tokens:
                raise ValueError(
                    f"row_tokens is {row_tokens}; task {task.name} needs up to {longest} positions in one row"
                )
        # More examples than a batch can ever hold: their numbers are this process's in this step.
        self.most = batch_size * (row_tokens // min(lengths) + 1)

    def __getitem__(self, step: int) -> Batch:
        first = (step * self.world_size + self.rank) * self.most
        rows: list[list[Example]] = [[] for _ in range(self.batch_size)]
        for number in range(first, first + self.most):
            example = self.examples.example(self.examples.mixture.draw(step, number), step, number)
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
        self,
        maker: ExampleMaker,
        tasks: Sequence[Task],
        clips: CodedClips,
        indices: Sequence[int],
        batch_size: int,
    ):
        self.maker, self.clips = maker, clips
        groups = []
        for task in tasks:
            pool = usable(clips, indices, task)
            starts = range(0, len(pool), batch_size)
            groups.append([(task, pool[start : start + batch_size]) for start in starts])
        turns = zip_longest(*groups)
        self.batches = [batch for turn in turns for batch in turn if batch is not None]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch:
        task, indices = self.batches[number]
        return Batch.collate(
            [
                self.maker.example(Draw(task), self.clips[index], first_caption(self.clips, index))
                for index in indices
            ]
        )


def usable(clips: CodedClips, indices: Sequence[int], task: Task) -> list[int]:
    """The clips that have what a task needs: all its codes, and a caption if it cannot do without."""
    return [
        index
        for index in indices
        if all(clips.has(index, part) for part in task.parts)
        and (task.text != "required" or texts(clips, index))
    ]


def texts(clips: CodedClips, index: int) -> list[str]:
    """All captions of a clip, a captioner's last."""
    long_caption = clips.long_caption(index)
    return [*clips.captions(index), *([long_caption] if long_caption else [])]


def first_caption(clips: CodedClips, index: int) -> str | None:
    return next(iter(texts(clips, index)), None)


def held_out(clips: CodedClips, share: float, seed: int) -> tuple[list[int], list[int]]:
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
