"""The parts of a clip by kind: the shape of their codes, and the blocks of the vocabulary with their ids.

    text      (pieces)              one block
    visual    (t h w)               one block; also the variants of the frames
    audio     (levels frames)       a block a level
    actions   (dimensions steps)    a block a dimension
    outcome   (steps)               one block

A step is what an agent does between one frame and the next: clips of F frames have F - 1 of them.
"""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from ..data.environments.action_space import OUTCOME, action_block
from ..lm.vocabulary import audio_block

_BLOCK_OF_ROW = {"audio": audio_block, "actions": action_block}
_BLOCK = {"text": "text", "visual": "visual", "outcome": OUTCOME}


def blocks_of(kind: str, rows: int = 1) -> list[str]:
    """Names of the blocks that codes of a kind are from, one for each row of kinds that have rows."""
    if kind in _BLOCK_OF_ROW:
        return [_BLOCK_OF_ROW[kind](row) for row in range(rows)]
    return [_BLOCK[kind]]


def converted(
    convert: Callable[[str, Tensor], Tensor], kind: str, codes: Int[Tensor, "*shape"]
) -> Int[Tensor, "*shape"]:
    """`convert` of the block's name and the codes, row by row for kinds that have rows."""
    if kind not in _BLOCK_OF_ROW:
        return convert(_BLOCK[kind], codes)
    names = blocks_of(kind, len(codes))
    return torch.stack([convert(name, row) for name, row in zip(names, codes, strict=True)])
