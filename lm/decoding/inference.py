"""The layers as generation runs them: `PrefixLM.body` with the same weights in fewer operations.

A pass over one position reads all weights once and computes hardly anything, so the launch of every small
operation counts. What differs from `Layer.forward`: norms are folded, queries and keys are normed and turned
together and before heads and positions change places, and the last layer is finished only for the positions
whose hidden states are wanted. Training keeps the plain form, whose gradients need no weights joined.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..model.attention import Attend, Attention, Rotation, rotate_alike
from ..model.rms_norm import FoldedNorm
from ..model.transformer import PrefixLM

Turn = tuple[Tensor, Tensor]
"""A `Rotation` with positions before heads: (rows, columns, 1, head_dim)."""


class InferenceBody:
    """The layers of a model and the last norm; copies only the weights of the norms."""

    def __init__(self, model: PrefixLM):
        self.layers = model.layer_list()
        self.attentions = [layer.attention for layer in self.layers]  # a module looks names up slowly
        self.attention_norms = [FoldedNorm(layer.attention_norm.weight) for layer in self.layers]
        self.query_and_key_norms = [_joined_norm(attention) for attention in self.attentions]
        self.feed_forward_norms = [FoldedNorm(layer.feed_forward_norm.weight) for layer in self.layers]
        self.norm = FoldedNorm(model.norm.weight)

    def turn(self, rotation: Rotation) -> Turn:
        """The rotation that `PrefixLM.rotation` gives, as `__call__` takes it."""
        cosine, signed_sine = (each.transpose(1, 2).to(self.norm.weight.dtype) for each in rotation)
        return cosine, signed_sine

    def __call__(
        self, embedded: Float[Tensor, "rows columns dim"], turn: Turn, attend: Attend, wanted: int
    ) -> Float[Tensor, "rows {wanted} dim"]:
        """Hidden states of the last `wanted` columns.

        Args:
            attend: as for `PrefixLM.body`, but in the last layer it has queries of these columns only.
        """
        hidden = embedded
        for index, layer in enumerate(self.layers):
            queries, keys, values = self._heads(index, hidden, turn)
            if layer is self.layers[-1]:
                queries, hidden = queries[:, :, -wanted:], hidden[:, -wanted:]
            attended = self.attentions[index].join_heads(attend(index, queries, keys, values))
            hidden = layer.after_attention(hidden, attended, self.feed_forward_norms[index])
        return self.norm(hidden)

    def _heads(self, index: int, hidden: Tensor, turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of a layer, (rows heads columns head_dim) each."""
        attention = self.attentions[index]
        projected = attention.project_in(self.attention_norms[index](hidden))
        queries_and_keys, values = attention.split_heads(projected)
        normed = self.query_and_key_norms[index].wide(queries_and_keys)
        turned = rotate_alike(normed, *turn).to(values.dtype).transpose(1, 2)
        return *attention.split_queries(turned, axis=1), values.transpose(1, 2)


def _joined_norm(attention: Attention) -> FoldedNorm:
    """The norms of queries and keys as one: (heads + kv_heads, head_dim)."""
    query, key = attention.query_norm.weight, attention.key_norm.weight
    return FoldedNorm(torch.cat((query.expand(attention.heads, -1), key.expand(attention.kv_heads, -1))))
