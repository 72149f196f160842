"""The transformer's body as generation runs it: the model's own weights in as few operations as can be.

At one position a pass all weights are read once and hardly anything is computed, so what each small
operation costs to launch is felt. Queries and keys are normed and turned together, features stay where the
projection put them, and of the last layer only those positions are finished whose hidden states are wanted.
`PrefixLM.body` is the same function, written to be read.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..model.attention import Attend, Attention, Rotation, rotate_alike
from ..model.rms_norm import FoldedNorm
from ..model.transformer import PrefixLM

Turn = tuple[Tensor, Tensor]
"""Cosines and signed sines for every feature of a head: (rows, columns, 1, head_dim)."""


class InferenceBody:
    """The layers of a model; it copies nothing but the weights of the norms."""

    def __init__(self, model: PrefixLM):
        self.layers = model.layer_list()
        self.attentions = [layer.attention for layer in self.layers]  # a module looks names up slowly
        self.attention_norms = [FoldedNorm(layer.attention_norm.weight) for layer in self.layers]
        self.query_and_key_norms = [_joined_norm(attention) for attention in self.attentions]
        self.feed_forward_norms = [FoldedNorm(layer.feed_forward_norm.weight) for layer in self.layers]
        self.norm = FoldedNorm(model.norm.weight)

    def turn(self, rotation: Rotation) -> Turn:
        """What `__call__` needs of `PrefixLM.rotation`."""
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
