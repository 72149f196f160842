"""The model and its cache, reading aligned rows: first all prompts, then column after column."""

from jaxtyping import Float
from torch import Tensor

from ..model.transformer import PrefixLM
from .cache import KVCache
from .inference import InferenceBody
from .rows import Prompts, Rows


class Decoder:
    """Reads `rows` from left to right; what it has read stands in its cache."""

    def __init__(self, model: PrefixLM, rows: Rows):
        self.model, self.rows = model, rows
        self.body = InferenceBody(model)
        self.cache = KVCache(
            layers=len(model.layers),
            rows=len(rows.ids),
            kv_heads=model.config.kv_heads,
            columns=max(rows.sampled, default=0),
            head_dim=model.config.head_dim,
            like=model.norm.weight,
            start=rows.start if rows.start.any() else None,
        )

    def read(self, stop: int, wanted: int = 1) -> Float[Tensor, "rows {wanted} dim"]:
        """Read all columns before `stop` that were not read yet; hidden states of the last `wanted`.

        The whole prefix and the forced positions behind it are read in the first pass, each different
        prompt once; this pass cannot go further.
        """
        if self.cache.length == 0:
            assert stop == self.rows.sampled[0] and wanted == 1
            return self._read_prompts(stop)
        first = self.cache.length
        cosine, sine = self.rows.turn
        return self.body(
            self._embedded(first, stop) + self.rows.place[:, first:stop],
            (cosine[:, first:stop], sine[:, first:stop]),
            self.cache.following(stop - first),
            wanted,
        )

    def _read_prompts(self, stop: int) -> Float[Tensor, "rows 1 dim"]:
        rows = self.rows
        hidden = rows.place.new_empty(len(rows.ids), 1, rows.place.shape[-1])
        for prompts in rows.prompts:
            hidden[prompts.rows] = self._read_some(prompts, stop)[prompts.prompt]
        self.cache.length = stop
        return hidden

    def _read_some(self, prompts: Prompts, stop: int) -> Float[Tensor, "prompts 1 dim"]:
        rows, shown, columns = self.rows, prompts.shown, slice(prompts.first, stop)
        embedded = self.model.tokens(rows.ids[shown, columns], rows.block[shown, columns])
        cosine, sine = (angle[shown, columns] for angle in rows.turn)
        prefix = rows.prefix - prompts.first
        attend = self.cache.prompts(prompts.rows, prompts.prompt, prompts.first, prefix)
        return self.body(embedded + rows.place[shown, columns], (cosine, sine), attend, wanted=1)

    def _embedded(self, first: int, stop: int) -> Float[Tensor, "rows columns dim"]:
        ids, blocks = self.rows.ids[:, first:stop], self.rows.block_of[first:stop]
        if blocks.count(blocks[0]) == len(blocks):
            return self.model.tokens.of_block(blocks[0], ids)
        return self.model.tokens(ids, self.rows.block[:, first:stop])
