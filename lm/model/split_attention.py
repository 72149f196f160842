"""Prefix attention by flash-attention calls that need no mask; see prefix_attention.py for the picture."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..batch import Batch

_SHORT_PREFIX = 1 / 4


class SplitAttention:
    """Flash attention of each example in parts that need no mask, merged by their log-sum-exps.

    prefix x prefix, rest x prefix and rest x rest causally: exact, and nothing unseen is computed. The
    backward pass of each part takes the log-sum-exp of the whole, which makes its share of the gradient
    exact too (Dao et al. 2022, arXiv:2205.14135, appendix B.4). CPUs only. Padding reads zeros.
    """

    def __init__(self, batch: Batch):
        columns = [each.tolist() for each in (batch.start, batch.prefix_length, batch.length, batch.row)]
        self.stacks = _stacks(sorted(zip(*columns, strict=True)))

    def __call__(
        self,
        layer: int,
        queries: Float[Tensor, "rows heads length head_dim"],
        keys: Float[Tensor, "rows kv_heads length head_dim"],
        values: Float[Tensor, "rows kv_heads length head_dim"],
    ) -> Float[Tensor, "rows heads length head_dim"]:
        return _Split.apply(queries, keys, values, self.stacks)  # pyright: ignore[reportReturnType]


@dataclass(frozen=True)
class _Stack:
    """Examples of one length at the same place of consecutive rows."""

    rows: slice
    places: slice
    prefix: int

    @property
    def length(self) -> int:
        return self.places.stop - self.places.start

    def of(self, *values: Tensor) -> list[Tensor]:
        """The part of tensors (rows, heads, positions, ...) that is theirs."""
        return [value[self.rows, :, self.places] for value in values]


def _stacks(examples: list[tuple[int, ...]]) -> list[_Stack]:
    """Of sorted (start, prefix, length, row)."""
    stacks: list[_Stack] = []
    for start, prefix, length, row in examples:
        first, places = row, slice(start, start + length)
        if stacks and stacks[-1] == _Stack(slice(stacks[-1].rows.start, row), places, prefix):
            first = stacks.pop().rows.start
        stacks.append(_Stack(slice(first, row + 1), places, prefix))
    return stacks


class _Split(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, stacks: list[_Stack]) -> Tensor:
        rows, heads, length, head_dim = queries.shape
        if stacks == [_Stack(slice(0, rows), slice(0, length), stacks[0].prefix)]:
            read, lse = _read(queries, keys, values, stacks[0].prefix)
        else:
            # In memory the heads of a position stand side by side, as the layer's last matrix takes them.
            read = queries.new_zeros(rows, length, heads, head_dim).transpose(1, 2)
            wide = torch.promote_types(queries.dtype, torch.float32)
            lse = queries.new_zeros(rows, heads, length, dtype=wide)
            for stack in stacks:
                q, k, v = stack.of(queries, keys, values)
                parts = _read(q, k, v, stack.prefix)
                for place, part in zip(stack.of(read, lse), parts, strict=True):
                    place.copy_(part)
        read = read.to(queries.dtype)
        ctx.save_for_backward(queries, keys, values, read, lse)
        ctx.stacks = stacks
        return read

    @staticmethod
    @once_differentiable  # which hides the names of the arguments
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, upstream: Tensor
    ) -> tuple[Tensor | None, ...]:
        queries, keys, values, read, lse = ctx.saved_tensors
        gradients = [torch.zeros_like(each) for each in (queries, keys, values)]
        for stack in ctx.stacks:
            own = stack.of(queries, keys, values, read, lse, upstream, *gradients)
            q, k, v, out, sums, up, dq, dk, dv = own
            for some, seen, is_causal in _parts(stack.prefix, stack.length):
                shares = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                    up[:, :, some], q[:, :, some], k[:, :, seen], v[:, :, seen], out[:, :, some],
                    sums[:, :, some], 0.0, is_causal,
                )  # fmt: skip
                for gradient, places, share in zip((dq, dk, dv), (some, seen, seen), shares, strict=True):
                    gradient[:, :, places] += share
        return (*gradients, None)


def _parts(prefix: int, length: int) -> list[tuple[slice, slice, bool]]:
    """(queries, keys, is_causal) of the calls that together compute every visible score once."""
    given, rest = slice(0, prefix), slice(prefix, length)
    parts = [(given, given, False), (rest, given, False), (rest, rest, True)]
    return [part for part in parts if all(some.stop > some.start for some in part[:2])]


def _read(q: Tensor, k: Tensor, v: Tensor, prefix: int) -> tuple[Tensor, Tensor]:
    """Attention's output for the examples' queries, and the log-sum-exp of their scores."""
    length = q.shape[2]
    if prefix == length:
        return _flash(q, k, v)
    if prefix <= _SHORT_PREFIX * length:
        # One causal call is cheaper than two that are merged; its output for the prefix is replaced.
        read, lse = _flash(q, k, v, is_causal=True)
        if prefix:
            some = slice(0, prefix)
            read[:, :, some], lse[:, :, some] = _flash(q[:, :, some], k[:, :, some], v[:, :, some])
        return read, lse
    first, second, third = (
        _flash(q[:, :, some], k[:, :, seen], v[:, :, seen], is_causal)
        for some, seen, is_causal in _parts(prefix, length)
    )
    read, lse = (torch.cat(pair, dim=2) for pair in zip(first, _merged(second, third), strict=True))
    return read, lse


def _flash(q: Tensor, k: Tensor, v: Tensor, is_causal: bool = False) -> tuple[Tensor, Tensor]:
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, is_causal)


def _merged(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Attention over two sets of keys, from the output and log-sum-exp over each."""
    lse = torch.logaddexp(one[1], other[1])
    shares = [(part_lse - lse).exp()[..., None] * part for part, part_lse in (one, other)]
    return shares[0] + shares[1], lse
