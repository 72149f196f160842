"""Keys and values of the positions that were already read, at fixed places in memory."""

from jaxtyping import Bool, Float
from torch import Tensor

from .attention import masked_attention


class KVCache:
    """Holds `capacity` columns for every row of a batch, filled from left to right.

    Rows whose prefixes differ in length are aligned at the end of the prefix (see generate.py): all rows
    then write the same column in each pass, and the mask hides the columns before a row begins.

    Args:
        layers: layers of the model.
        capacity: columns.
    """

    def __init__(self, layers: int, capacity: int):
        self.capacity = capacity
        self.length = 0
        self.mask: Bool[Tensor, "#rows 1 queries keys"] | None = None
        self._stored: list[tuple[Tensor, Tensor] | None] = [None] * layers

    def advance(self, columns: int, mask: Bool[Tensor, "#rows 1 queries keys"] | None) -> None:
        """Announce a pass over the next `columns` columns.

        Args:
            mask: which of all columns so far, these included, each new one may see; None: all of them.
        """
        assert self.length + columns <= self.capacity
        self._first, self.length, self.mask = self.length, self.length + columns, mask

    def attend(
        self,
        layer: int,
        queries: Float[Tensor, "rows heads columns head_dim"],
        keys: Float[Tensor, "rows kv_heads columns head_dim"],
        values: Float[Tensor, "rows kv_heads columns head_dim"],
    ) -> Float[Tensor, "rows heads columns head_dim"]:
        """Store the new keys and values of a layer, and attend to all that the mask shows."""
        stored = self._stored[layer]
        if stored is None:
            rows, kv_heads, _, head_dim = keys.shape
            stored = tuple(new.new_empty(rows, kv_heads, self.capacity, head_dim) for new in (keys, values))
            self._stored[layer] = stored
        for memory, new in zip(stored, (keys, values), strict=True):
            memory[:, :, self._first : self.length] = new
        all_keys, all_values = (memory[:, :, : self.length] for memory in stored)
        if queries.shape[2] > 1:
            return masked_attention(queries, all_keys, all_values, self.mask)
        # One column: the query heads that share keys stand side by side as queries of one head.
        shape = queries.shape
        grouped = queries.view(shape[0], keys.shape[1], -1, shape[-1])
        return masked_attention(grouped, all_keys, all_values, self.mask).reshape(shape)
