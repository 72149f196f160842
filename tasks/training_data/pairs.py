"""Pairs to learn super-resolution from: coded clips, each with what is hidden and left out of it.

A pair is a pure function of the seed and its number, so that a training that was stopped goes on exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...data.codes.shards import CodedClip
from ...super_resolution.batch import Condition, PairBatch
from ...super_resolution.masking import draw_mask, draw_noise, with_noise
from ...super_resolution.stage_clips import StageClips
from ...tokenizers.text.frozen_encoder import TextEncoder
from ...tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from ..conditions import seeded
from .clip_pools import Numbers, first_caption, texts
from .coded_clips import SizedClips
from .low_codes import LOW
from .mixture import shuffled


@dataclass(frozen=True)
class Drops:
    """What of a condition a training leaves out or spoils.

    Args:
        low: share of clips whose low-resolution codes are left out.
        text: share of clips whose text is left out, drawn apart.
        noise: share of the low-resolution codes that is replaced at most; half of the clips have none.
    """

    low: float = 0.1
    text: float = 0.1
    noise: float = 0.2

    def __post_init__(self) -> None:
        for name in ("low", "text", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"drops.{name} is {getattr(self, name)}; expected a share from 0 to 1")


class PairMaker:
    """Coded clips to batches.

    Args:
        stage: sizes, digits and text.
        text_tokenizer: that of the stage; None for one without text.
    """

    def __init__(self, stage: StageClips, text_tokenizer: TextTokenizer | TextEncoder | None):
        self.stage, self.text_tokenizer = stage, text_tokenizer

    def text(self, caption: str | None) -> Tensor | None:
        """A caption as the stage reads it; None for no text."""
        if caption is None or self.text_tokenizer is None:
            return None
        text = torch.as_tensor(self.text_tokenizer.encode(caption, self.stage.text_pieces))
        return text if len(text) else None

    def condition(self, clips: Sequence[CodedClip], captions: Sequence[str | None]) -> Condition:
        """Of clips as they are, with their captions."""
        given = [self.text(caption) for caption in captions] if self.stage.has_text else ()
        return Condition.of(torch.stack([clip.codes[LOW] for clip in clips]), given)

    def batch(
        self,
        clips: Sequence[CodedClip],
        captions: Sequence[str | None],
        drops: Drops,
        generators: Sequence[torch.Generator],
    ) -> PairBatch:
        """Clips with codes hidden, and with parts of their conditions left out or replaced at random."""
        condition, masks = self.condition(clips, captions), []
        num_codes = prod(self.stage.low.factors)
        for row, generator in enumerate(generators):
            masks.append(draw_mask(self.stage.large.grid, generator))
            no_low, no_text = torch.rand(2, generator=generator).tolist()
            level = draw_noise(drops.noise, generator)
            if no_low < drops.low:
                condition.has_low[row] = False
            else:
                condition.noise[row] = level
                condition.low[row] = with_noise(condition.low[row], level, num_codes, generator)
            if no_text < drops.text:
                condition.text_length[row] = 0
        codes = torch.stack([clip.codes["visual"] for clip in clips])
        return PairBatch(codes, torch.stack(masks), condition)


class TrainingPairs(Dataset):
    """Batch `step` of one process, over the clips in an order that is shuffled every pass.

    Args:
        clips: all clips.
        pool: numbers of those to train on.
        rank, world_size: of this process among all, which take turns at the clips.
    """

    def __init__(
        self,
        maker: PairMaker,
        clips: SizedClips,
        pool: Numbers,
        batch_size: int,
        drops: Drops,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.maker, self.clips, self.pool, self.drops, self.seed = maker, clips, pool, drops, seed
        self.batch_size, self.rank, self.world_size = batch_size, rank, world_size
        self._order = (-1, np.zeros(0, np.int64))

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return max(len(self.pool) // (self.batch_size * self.world_size), 1)

    def __getitem__(self, step: int) -> PairBatch:
        first = (step * self.world_size + self.rank) * self.batch_size
        numbers = range(first, first + self.batch_size)
        indices = [self._index(number) for number in numbers]
        generators = [seeded("pair", self.seed, number) for number in numbers]
        captions = [
            self._caption(index, generator) for index, generator in zip(indices, generators, strict=True)
        ]
        return self.maker.batch([self.clips[index] for index in indices], captions, self.drops, generators)

    def _caption(self, index: int, generator: torch.Generator) -> str | None:
        """One of the clip's captions."""
        found = texts(self.clips, index)
        choice = float(torch.rand((), generator=generator))
        return found[int(choice * len(found))] if found else None

    def _index(self, number: int) -> int:
        turn, position = divmod(number, len(self.pool))
        if self._order[0] != turn:
            self._order = (turn, shuffled(self.seed, len(self.pool), turn))
        return int(self.pool[self._order[1][position]])


class ValidationPairs(Dataset):
    """Every held-out clip once, with its first caption, nothing left out, and always the same codes
    hidden."""

    def __init__(self, maker: PairMaker, clips: SizedClips, indices: Sequence[int], batch_size: int):
        self.maker, self.clips = maker, clips
        self.parts = [indices[start : start + batch_size] for start in range(0, len(indices), batch_size)]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, number: int) -> PairBatch:
        indices = self.parts[number]
        return self.maker.batch(
            [self.clips[index] for index in indices],
            [first_caption(self.clips, index) for index in indices],
            Drops(low=0.0, text=0.0, noise=0.0),
            [seeded("validation pair", index) for index in indices],
        )


def with_text(
    stage: StageClips, tokenizer: TextTokenizer | TextEncoder | None, pieces: int
) -> StageClips:
    """The stage with the text that it is to read, of so many pieces at most; without one if there is none."""
    if tokenizer is None:
        return stage
    is_encoder = isinstance(tokenizer, TextEncoder)
    return replace(
        stage,
        text_tokenizer=tokenizer.fingerprint,
        text_size=0 if is_encoder else tokenizer.vocab_size,
        text_width=tokenizer.width if is_encoder else 0,
        text_pieces=pieces,
    )
