"""Attention within examples: a prefix that is seen in both directions, then causal.

                 keys 0 1 2 | 3 4 5        the first three positions are the prefix:
    query 0           x x x | . . .        they see each other in both directions,
          1           x x x | . . .        never anything after the prefix;
          2           x x x | . . .
          3           x x x | x . .        every later position sees the prefix,
          4           x x x | x x .        itself and what came before it
          5           x x x | x x x

(Kondratyuk et al. 2024, arXiv:2312.14125, section 3.2; the mask is Raffel et al. 2020's prefix LM.)

Only `MaskedAttention` on a GPU computes the whole square of scores. `prefix_attention` chooses for a batch:

    SplitAttention     long examples on CPUs: flash calls for the three parts of the picture
    FlexAttention      CUDA: one compiled kernel that skips invisible blocks of 128 x 128; not for short rows
                       with narrow heads on Hopper
    MaskedAttention    everything else: under a mask, on CPUs some queries at a time
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..batch import Batch
from .attention import Attend, masked_attention
from .split_attention import SplitAttention

QUERIES_AT_ONCE = 128
LONG_EXAMPLE = 768
"""Mean length of a batch's examples from which flash calls beat masks on a CPU (benchmarks/attention.py)."""
LONG_ROW = 1344
"""Positions up to which a mask beat FlexAttention on an H200, 8 rows, heads of 64 features: forward 0.80
against 3.27 ms, with the backward pass 2.43 against 4.43 (benchmarks/results/gpu.md). Longer rows were not
compared directly; the kernel times of a training with FlexAttention suggest a tie at 1,761 positions."""
_NARROW_HEAD = 64
"""Features of a head up to which a mask was faster. With 128 features FlexAttention's forward kernel is no
slower than its backward kernel: both took at most 2.3 ms together for 8 rows of 1,761."""
_SMALLEST_FLEX_HEAD = 16
_HOPPER = 9  # of compute capability


def prefix_attention(batch: Batch, head_dim: int) -> Attend:
    """The form of attention that is fastest for a batch; made once and shared by all layers."""
    device = batch.ids.device
    if device.type == "cuda" and head_dim >= _SMALLEST_FLEX_HEAD:
        capability = torch.cuda.get_device_capability(device)
        if not mask_is_faster(batch.ids.shape[1], head_dim, capability):
            return FlexAttention(batch)
    if device.type == "cpu" and batch.length.float().mean() >= LONG_EXAMPLE:
        return SplitAttention(batch)
    return MaskedAttention(batch)


def mask_is_faster(length: int, head_dim: int, capability: tuple[int, int]) -> bool:
    """Whether a mask beat FlexAttention on a GPU of this compute capability, for rows of this length.

    Only Hopper was measured; there PyTorch's kernel for a mask in half precision is cuDNN's.
    """
    return capability[0] == _HOPPER and length <= LONG_ROW and head_dim <= _NARROW_HEAD


class MaskedAttention:
    """Scaled dot-product attention under an explicit mask.

    On CPUs queries are taken some at a time, with the keys that any of them sees, so that up to half of
    the scores are never computed.
    """

    def __init__(self, batch: Batch):
        length = batch.ids.shape[1]
        size = QUERIES_AT_ONCE if batch.ids.device.type == "cpu" else length
        mask = prefix_mask(batch)
        self.parts: list[tuple[slice, slice, Tensor]] = []
        for start in range(0, length, size):
            queries, keys = slice(start, start + size), slice(0, length)
            if size < length:
                seen = mask[:, :, queries].flatten(0, 2).any(0).nonzero()
                keys = slice(int(seen[0]), int(seen[-1]) + 1)
            self.parts.append((queries, keys, mask[:, :, queries, keys]))

    def __call__(
        self,
        layer: int,
        queries: Float[Tensor, "rows heads length head_dim"],
        keys: Float[Tensor, "rows kv_heads length head_dim"],
        values: Float[Tensor, "rows kv_heads length head_dim"],
    ) -> Float[Tensor, "rows heads length head_dim"]:
        parts = [
            masked_attention(queries[:, :, some], keys[:, :, seen], values[:, :, seen], mask)
            for some, seen, mask in self.parts
        ]
        return torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]


class FlexAttention:
    """FlexAttention (Dong et al. 2024, arXiv:2412.05496) with a block mask, compiled for CUDA devices."""

    def __init__(self, batch: Batch):
        from torch.nn.attention.flex_attention import create_block_mask

        rows, length = batch.ids.shape
        device = batch.ids.device
        # Compiled, the mask is never made as a square.
        make = torch.compile(create_block_mask) if device.type == "cuda" else create_block_mask
        self.block_mask = make(_sees(batch), rows, None, length, length, device=device)

    def __call__(
        self,
        layer: int,
        queries: Float[Tensor, "rows heads length head_dim"],
        keys: Float[Tensor, "rows kv_heads length head_dim"],
        values: Float[Tensor, "rows kv_heads length head_dim"],
    ) -> Float[Tensor, "rows heads length head_dim"]:
        attend = _flex(queries.device.type)
        return attend(queries, keys, values, block_mask=self.block_mask, enable_gqa=True)


@cache
def _flex(device: str) -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention) if device == "cuda" else flex_attention


def prefix_mask(batch: Batch) -> Bool[Tensor, "rows 1 positions positions"]:
    """True where a query (third axis) may see a key (last axis). Padding sees itself alone."""
    row = torch.arange(len(batch), device=batch.ids.device)[:, None, None, None]
    position = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    return _sees(batch)(row, 0, position[:, None], position)


def _sees(batch: Batch) -> Callable[[Any, Any, Any, Any], Tensor]:
    """(row, head, query, key), all numbers that broadcast -> whether the query may see the key."""
    position = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    example = batch.example
    # Meaningless on padding, whose positions see only themselves.
    in_prefix = position < (batch.start + batch.prefix_length)[example]
    is_padding = example < 0
    return lambda row, head, query, key: (query == key) | (
        (example[row, query] == example[row, key])
        & ~is_padding[row, key]
        & ((query >= key) | (in_prefix[row, query] & in_prefix[row, key]))
    )
