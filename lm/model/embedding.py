"""The model's input at a position: an embedding of the id there, plus one of the place.

The place is part of the layout and so known before anything is generated. Each position is told its own
segment, and the segment and coordinates of the *next* position, whose id it has to predict (the target-aware
positions of Yu et al. 2024, arXiv:2411.00776, section 3.2): a small model then need not work out that a row
of codes has ended and the next begins.
"""

from functools import reduce
from operator import add

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..vocabulary import Block


class CodeEmbedding(nn.Module):
    """Embeddings of the codes of one block: one table per digit, summed."""

    def __init__(self, block: Block, dim: int):
        super().__init__()
        self.block = block
        self.digits = nn.ModuleList(nn.Embedding(factor, dim) for factor in block.factors)

    def forward(self, codes: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape dim"]:
        tables = zip(self.digits, self.block.split(codes), strict=True)
        return reduce(add, (table(digit) for table, digit in tables))


class TokenEmbedding(nn.Module):
    """Embeddings of ids from any block; tables are kept under the names of their blocks."""

    def __init__(self, blocks: tuple[Block, ...], dim: int):
        super().__init__()
        self.blocks = blocks
        self.tables = nn.ModuleDict({block.name: CodeEmbedding(block, dim) for block in blocks})

    def forward(
        self, ids: Int[Tensor, "batch length"], block: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length dim"]:
        order = block.flatten().argsort(stable=True)
        counts = torch.bincount(block.flatten(), minlength=len(self.blocks)).tolist()
        groups = ids.flatten()[order].split(counts)
        embedded = torch.cat(
            [self.of_block(index, group) for index, group in enumerate(groups)]
        )  # every table takes part, so that each has a gradient on every process
        return embedded[order.argsort()].view(*ids.shape, -1)

    def of_block(self, index: int, ids: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape dim"]:
        """Embeddings of ids that all belong to one block."""
        block = self.blocks[index]
        return self.tables[block.name](ids - block.start)


class PlaceEmbedding(nn.Module):
    """Embedding of a position's segment, and of the segment and coordinates of the position after it."""

    def __init__(self, segments: int, waves: int, dim: int):
        super().__init__()
        self.segment = nn.Embedding(segments, dim)
        self.next_segment = nn.Embedding(segments, dim)
        self.next_place = nn.Linear(2 * waves, dim, bias=False)

    def forward(
        self,
        segment: Int[Tensor, "batch length"],
        angles: Float[Tensor, "batch length waves"],
        has_next: Float[Tensor, "batch length"],
    ) -> Float[Tensor, "batch length dim"]:
        """
        Args:
            angles: the coordinates as angles of several wavelengths.
            has_next: 1 where the next position belongs to the sequence, 0 at its end and on padding.
        """
        waves = torch.cat((angles.cos(), angles.sin()), dim=-1).to(self.next_place.weight.dtype)
        following = self.next_segment(segment.roll(-1, dims=1)) + self.next_place(waves.roll(-1, dims=1))
        return self.segment(segment) + following * has_next[..., None].to(following.dtype)
