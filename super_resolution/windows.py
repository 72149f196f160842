"""Windows of a grid of codes, and attention inside them.

    grid (t h w) = (1, 4, 6)       a a | b b | c c       partition: the three windows of 8 positions
    windows (1, 4, 2)              a a | b b | c c       one below the other in the batch
                                   a a | b b | c c       merge: back to the 24 positions
                                   a a | b b | c c

A window that is larger than the grid ends with it. Where windows do not divide the grid the last one of an
axis is padded, and a mask keeps queries from seeing the padding. Windows of all three kinds together
(vertical, horizontal, temporal) let every code see every other after a few layers, at a cost that grows with
the number of windows and not with its square (Tu et al. 2022, MaxViT, arXiv:2204.01697).
"""

from dataclasses import dataclass
from math import ceil, prod

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from ..lm.model.attention import masked_attention

Grid = tuple[int, int, int]
"""(t, h, w) of a grid of codes, or of a window of it."""


@dataclass(frozen=True)
class Windows:
    """Windows of one shape over a grid.

    Args:
        grid: (t, h, w) of the codes; each at least 1.
        window: (t, h, w) of a window, at most the grid's; see `of`.
    """

    grid: Grid
    window: Grid

    @classmethod
    def of(cls, grid: Grid, window: Grid) -> "Windows":
        """Windows that end with the grid where they are larger than it."""
        t, h, w = (min(pair) for pair in zip(grid, window, strict=True))
        return cls(grid, (t, h, w))

    @property
    def counts(self) -> Grid:
        """Windows along each axis."""
        t, h, w = (ceil(size / own) for size, own in zip(self.grid, self.window, strict=True))
        return t, h, w

    @property
    def count(self) -> int:
        return prod(self.counts)

    @property
    def length(self) -> int:
        """Positions of a window, padding included."""
        return prod(self.window)

    def partition(
        self, features: Float[Tensor, "batch heads positions dim"]
    ) -> Float[Tensor, "batch_windows heads length dim"]:
        """The windows of each grid below each other; positions are those of the grid in the order t, h, w."""
        grids = rearrange(features, "b n (t h w) d -> b n t h w d", t=self.grid[0], h=self.grid[1])
        if any(self._padding):
            t, h, w = self._padding
            grids = F.pad(grids, (0, 0, 0, w, 0, h, 0, t))
        nt, nh, nw = self.counts
        return rearrange(
            grids, "b n (nt t) (nh h) (nw w) d -> (b nt nh nw) n (t h w) d", nt=nt, nh=nh, nw=nw
        )

    def merge(
        self, windows: Float[Tensor, "batch_windows heads length dim"]
    ) -> Float[Tensor, "batch heads positions dim"]:
        """The inverse of `partition`; what stands on padding is dropped."""
        (nt, nh, nw), (t, h, w) = self.counts, self.window
        grids = rearrange(
            windows,
            "(b nt nh nw) n (t h w) d -> b n (nt t) (nh h) (nw w) d",
            nt=nt, nh=nh, nw=nw, t=t, h=h, w=w,
        )  # fmt: skip
        t, h, w = self.grid
        return grids[:, :, :t, :h, :w].flatten(2, 4)

    def mask(self, device: torch.device | str = "cpu") -> Bool[Tensor, "windows length"] | None:
        """Which positions of each window are the grid's; None if all are."""
        if not any(self._padding):
            return None
        real = torch.ones(1, 1, prod(self.grid), 1, device=device)
        return self.partition(real)[:, 0, :, 0] > 0

    @property
    def _padding(self) -> Grid:
        t, h, w = (
            count * own - size
            for count, own, size in zip(self.counts, self.window, self.grid, strict=True)
        )
        return t, h, w


class WindowAttention:
    """Attention in which each window of queries sees the window of keys at the same place; an `Attend` of
    lm/model/attention.py.

    Args:
        queries: windows of the queries' grid.
        keys: of the keys' grid, as many.
    """

    def __init__(self, queries: Windows, keys: Windows):
        if queries.counts != keys.counts:
            raise ValueError(f"queries have {queries.counts} windows, keys {keys.counts}; expected as many")
        self.queries, self.keys = queries, keys

    def __call__(
        self,
        layer: int,
        queries: Float[Tensor, "batch heads queries head_dim"],
        keys: Float[Tensor, "batch heads keys head_dim"],
        values: Float[Tensor, "batch heads keys head_dim"],
    ) -> Float[Tensor, "batch heads queries head_dim"]:
        mask = self.keys.mask(queries.device)
        if mask is not None:
            mask = mask.repeat(len(queries), 1)[:, None, None]
        read = masked_attention(
            self.queries.partition(queries), self.keys.partition(keys), self.keys.partition(values), mask
        )
        return self.queries.merge(read)
