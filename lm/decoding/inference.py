"""The transformer's body as generation runs it: the model's own weights in as few operations as can be.

At one position a pass all weights are read once and hardly anything is computed, so what each small
operation costs to launch is felt. Queries and keys are normed and turned together, features stay where the
projection put them, and of the last layer only those positions are finished whose hidden states are wanted.
`PrefixLM.body` is the same function, written to be read.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..model.attention import Attend, Attention, RMSNorm, Rotation
from ..model.transformer import PrefixLM

Turn = tuple[Tensor, Tensor]
"""Cosines and signed sines for every feature of a head: (rows, columns, 1, head_dim)."""


class InferenceBody:
    """The layers of a model; it copies nothing but the weights of the norms."""

    def __init__(self, model: PrefixLM):
        self.layers = list(model.layers)
        self.heads, self.kv_heads = model.config.heads, model.config.kv_heads
        self.head_dim = model.config.head_dim
        self.attention_norms = [_Norm(layer.attention_norm.weight) for layer in self.layers]
        self.query_and_key_norms = [self._joined_norm(layer.attention) for layer in self.layers]
        self.feed_forward_norms = [_Norm(layer.feed_forward_norm.weight) for layer in self.layers]
        self.norm = _Norm(model.norm.weight)

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
            projected = layer.attention.project_in(self.attention_norms[index](hidden))
            queries, keys, values = self._heads(index, projected, turn)
            if layer is self.layers[-1]:
                queries, hidden = queries[:, :, -wanted:], hidden[:, -wanted:]
            read = attend(index, queries, keys, values)
            hidden = hidden + layer.attention.project_out(read.transpose(1, 2).flatten(2))
            gate, value = layer.project_in(self.feed_forward_norms[index](hidden)).chunk(2, dim=-1)
            hidden = hidden + layer.project_out(F.silu(gate).mul_(value))
        return self.norm(hidden)

    def _heads(self, index: int, projected: Tensor, turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of a layer, (rows heads columns head_dim) each."""
        apart = projected.view(*projected.shape[:2], -1, self.head_dim)
        turning, values = apart.split((self.heads + self.kv_heads, self.kv_heads), dim=2)
        normed = self.query_and_key_norms[index].wide(turning)
        cosine, signed_sine = turn
        swapped = normed.roll(self.head_dim // 2, dims=-1)
        turned = torch.addcmul(normed * cosine, swapped, signed_sine).to(values.dtype).transpose(1, 2)
        queries, keys = turned.split((self.heads, self.kv_heads), dim=1)
        return queries, keys, values.transpose(1, 2)

    def _joined_norm(self, attention: Attention) -> "_Norm":
        query, key = attention.query_norm.weight, attention.key_norm.weight
        return _Norm(torch.cat((query.expand(self.heads, -1), key.expand(self.kv_heads, -1))))


class _Norm:
    """`RMSNorm` in four operations: x sqrt(d) w / sqrt(|x|^2 + d eps)."""

    def __init__(self, weight: Tensor):
        size = weight.shape[-1]
        wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
        self.weight = wide * size**0.5
        self.least = wide.new_tensor((size * RMSNorm.eps) ** 0.5)

    def __call__(self, features: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        return self.wide(features).to(features.dtype)

    def wide(self, features: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """In float32 or wider."""
        features = features.to(self.weight.dtype)
        size = torch.linalg.vector_norm(features, dim=-1, keepdim=True)
        return (features / torch.hypot(size, self.least)).mul_(self.weight)
