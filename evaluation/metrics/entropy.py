"""Entropy of counts, and of codes on disk: the loss of a unigram model of these codes."""

from math import log
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from ...data.codes.shards import ShardReader
from ...lm.vocabulary import audio_block


def entropy_bits(counts: Int[Tensor, " kinds"]) -> float:
    """Entropy of the distribution that was counted."""
    shares = counts[counts > 0].double() / counts.sum()
    return abs(float((shares * shares.log2()).sum()))


def unigram_nats(folder: Path) -> dict[str, float]:
    """Entropy of single codes in a folder of shards, in nats, by block of the vocabulary."""
    reader = ShardReader(folder)
    codes = [reader[index].codes for index in range(len(reader))]
    grids = {"visual": torch.stack([each["visual"] for each in codes])}
    if sounds := [each["audio"] for each in codes if "audio" in each]:
        levels = torch.stack(sounds, dim=1)
        grids |= {audio_block(level): grid for level, grid in enumerate(levels)}
    return {block: log(2) * entropy_bits(grid.flatten().bincount()) for block, grid in grids.items()}
