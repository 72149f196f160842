"""The KV cache: keys and values of the positions that were already read, at fixed places in memory."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..model.attention import Attend, masked_attention

QUERIES_AT_ONCE = 512


class KVCache:
    """Keys and values of `columns` columns for every row of a batch, filled from left to right.

    Rows whose prefixes differ in length are aligned at the end of the prefix (see rows.py): all rows then
    write the same columns in each pass, and a mask hides the columns before a row begins.

    Args:
        like: a weight of the model, whose type and device keys and values have.
        start: first column of every row; None: all begin at the first.
    """

    def __init__(
        self,
        layers: int,
        rows: int,
        kv_heads: int,
        columns: int,
        head_dim: int,
        like: Tensor,
        start: Int[Tensor, " rows"] | None = None,
    ):
        self.length, self.columns = 0, columns
        # Zeros, since hidden columns take part with a weight of zero, which NaN would survive.
        self.keys, self.values = (
            [like.new_zeros(rows, kv_heads, columns, head_dim) for _ in range(layers)] for _ in range(2)
        )
        self.visible: Bool[Tensor, "rows 1 1 columns"] | None = None
        if start is not None:
            self.visible = (torch.arange(columns, device=like.device) >= start[:, None])[:, None, None]

    def prompts(
        self, rows: Int[Tensor, " rows"], prompt: Int[Tensor, " rows"], first: int, prefix: int
    ) -> Attend:
        """For a pass over different prompts from column `first` on, each of which some rows share.

        Args:
            rows: the rows to fill.
            prompt: which of the prompts each of these rows has.
            prefix: columns of the prompts, from `first` on, that see each other in both directions.
        """

        pairs = list(zip(rows.tolist(), prompt.tolist(), strict=True))

        def attend(layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            columns = slice(first, first + keys.shape[2])
            for row, source in pairs:  # plain copies take a sixth of the time of index tensors
                self.keys[layer][row, :, columns] = keys[source]
                self.values[layer][row, :, columns] = values[source]
            return attention_of_last(queries, keys, values, prefix)

        return attend

    def following(self, columns: int) -> Attend:
        """For a pass of all rows over the next columns, behind the prefix; they count as read."""
        first, stop = self.length, self.length + columns
        self.length = stop
        visible = None if self.visible is None else self.visible[..., :stop]

        def attend(layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            all_keys, all_values = self.keys[layer], self.values[layer]
            all_keys[:, :, first:stop] = keys
            all_values[:, :, first:stop] = values
            return attention_of_last(queries, all_keys[:, :, :stop], all_values[:, :, :stop], 0, visible)

        return attend

    def seen_from(self, column: Int[Tensor, " 1"]) -> Bool[Tensor, "#rows 1 1 columns"]:
        """The columns that a query in `column` sees."""
        seen = (torch.arange(self.columns, device=column.device) <= column)[None, None, None]
        return seen if self.visible is None else seen & self.visible


def attend_at(
    keys: list[Tensor],
    values: list[Tensor],
    column: Int[Tensor, " 1"],
    seen: Bool[Tensor, "#rows 1 1 columns"],
) -> Attend:
    """For a pass of all rows over one column whose number stands in a tensor.

    The whole cache is read under a mask, so that no shape depends on the column: the pass can be compiled or
    recorded once for all columns.

    Args:
        keys, values: of a `KVCache`.
        seen: from `KVCache.seen_from`.
    """

    def attend(layer: int, queries: Tensor, own_keys: Tensor, own_values: Tensor) -> Tensor:
        keys[layer].index_copy_(2, column, own_keys)
        values[layer].index_copy_(2, column, own_values)
        return grouped_attention(queries, keys[layer], values[layer], seen)

    return attend


def attention_of_last(
    queries: Float[Tensor, "rows heads queries head_dim"],
    keys: Float[Tensor, "rows kv_heads columns head_dim"],
    values: Float[Tensor, "rows kv_heads columns head_dim"],
    prefix: int,
    visible: Bool[Tensor, "rows 1 1 columns"] | None = None,
    queries_at_once: int | None = None,
) -> Float[Tensor, "rows heads queries head_dim"]:
    """Attention of the last columns to all: both ways inside the prefix, causal behind it.

    It takes some queries at a time, so that memory grows with the columns and not with their square.

    Args:
        prefix: the first columns, which see each other.
        visible: columns that a row may see at all; None: all.
    """
    columns = torch.arange(keys.shape[2], device=keys.device) if queries.shape[2] > 1 else None
    first = keys.shape[2] - queries.shape[2]
    parts = []
    for begin, end in _parts(first, prefix, keys.shape[2], queries_at_once or QUERIES_AT_ONCE):
        seen = prefix if begin < prefix else end
        mask = None if visible is None else visible[..., :seen]
        if columns is not None and begin >= prefix and end - begin > 1:
            causal = columns[:seen] <= columns[begin:end, None]
            mask = causal[None, None] if mask is None else mask & causal
        some = queries[:, :, begin - first : end - first]
        parts.append(grouped_attention(some, keys[:, :, :seen], values[:, :, :seen], mask))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def _parts(first: int, prefix: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges from `first` to `stop`, none longer than `size` or on both sides of the prefix' end."""
    while first < stop:
        end = min(first + size, prefix if first < prefix else stop)
        yield first, end
        first = end


def grouped_attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Attention without copies of keys: the query heads that share keys become queries of one head."""
    shape, shared = queries.shape, queries.shape[1] // keys.shape[1]
    if shared == 1:
        return masked_attention(queries, keys, values, mask)
    if mask is not None and mask.shape[2] > 1:
        mask = mask.repeat(1, 1, shared, 1)
    grouped = queries.reshape(shape[0], keys.shape[1], -1, shape[-1])
    # Some of PyTorch's kernels return heads and queries in the other memory order.
    return masked_attention(grouped, keys, values, mask).reshape(shape)
