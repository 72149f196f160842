"""A layer's attention and its rotary positions.

Which keys and values a query sees is not decided here but by the `attend` that is passed in: a mask in
training (prefix_attention.py), a cache in generation (decoding/cache.py).
"""

from collections.abc import Callable
from functools import cache
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from .fused_linear import FusedLinear
from .rms_norm import RMSNorm

Rotation = tuple[Tensor, Tensor]
"""Cosines of the angles, and their sines: negative for the first half of a head's features."""

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, queries, keys, values) -> attention's output; a layer knows neither masks nor caches."""


class Attention(nn.Module):
    """Grouped-query attention with normalised queries and keys, turned by their positions.

    Args:
        layer: the number of this layer, which it hands to `attend`.
        dim: features of the residual stream.
        heads: query heads.
        kv_heads: heads of keys and values.
    """

    def __init__(self, layer: int, dim: int, heads: int, kv_heads: int):
        super().__init__()
        self.layer, self.heads, self.kv_heads = layer, heads, kv_heads
        self.head_dim = dim // heads
        widths = tuple(count * self.head_dim for count in (heads, kv_heads, kv_heads))
        self.project_in = FusedLinear(dim, widths)
        self.query_norm = RMSNorm(self.head_dim)
        self.key_norm = RMSNorm(self.head_dim)
        self.project_out = nn.Linear(dim, dim, bias=False)
        self._read: Callable[..., Tensor] = _read

    def forward(
        self, hidden: Float[Tensor, "batch length dim"], rotation: Rotation, attend: Attend
    ) -> Float[Tensor, "batch length dim"]:
        queries_and_keys, values = self.split_heads(self.project_in(hidden))
        queries, keys = (each.transpose(1, 2) for each in self.split_queries(queries_and_keys, axis=2))
        queries = rotate(self.query_norm(queries), rotation).to(values.dtype)
        keys = rotate(self.key_norm(keys), rotation).to(values.dtype)
        values = values.transpose(1, 2)
        return self.join_heads(self._read(self, attend, queries, keys, values))

    def read_uncompiled(self) -> None:
        """Keep `attend` out of what is compiled, or that is compiled anew for each layer and each mask."""
        self._read = _uncompiled_read()

    def split_heads(
        self, projected: Float[Tensor, "batch length features"]
    ) -> tuple[Float[Tensor, "batch length _ head_dim"], Float[Tensor, "batch length kv_heads head_dim"]]:
        """The heads that `project_in` makes: those of queries, then keys, as one tensor; those of values."""
        # Views by hand: einops takes 2 µs more, which every layer would pay at every generated position.
        heads = projected.view(*projected.shape[:2], -1, self.head_dim)
        queries_and_keys, values = heads.split((self.heads + self.kv_heads, self.kv_heads), dim=2)
        return queries_and_keys, values

    def split_queries(self, queries_and_keys: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """Queries and keys, whose heads stand along an axis."""
        queries, keys = queries_and_keys.split((self.heads, self.kv_heads), dim=axis)
        return queries, keys

    def join_heads(
        self, read: Float[Tensor, "batch heads length head_dim"]
    ) -> Float[Tensor, "batch length dim"]:
        """What all heads have read, projected back to the residual stream."""
        return self.project_out(read.transpose(1, 2).flatten(2))


def _read(module: Attention, attend: Attend, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return attend(module.layer, queries, keys, values)


@cache
def _uncompiled_read() -> Callable[..., Tensor]:
    # No decorator: it imports the compiler, a second of work, for those who compile nothing too.
    return cast(Callable[..., Tensor], torch.compiler.disable(_read))


def masked_attention(
    queries: Float[Tensor, "batch heads queries head_dim"],
    keys: Float[Tensor, "batch kv_heads keys head_dim"],
    values: Float[Tensor, "batch kv_heads keys head_dim"],
    mask: Bool[Tensor, "#batch 1 #queries keys"] | None,
) -> Float[Tensor, "batch heads queries head_dim"]:
    """Scaled dot-product attention, grouped-query, under a boolean mask; None: every key is visible."""
    if queries.device.type == "cpu" and queries.dtype == torch.bfloat16:
        return _attention_by_products(queries, keys, values, mask)
    shared = queries.shape[1] // keys.shape[1]
    if queries.is_cuda and queries.dtype == torch.float32 and shared > 1:
        # The memory-efficient kernel for float32 knows no shared keys; any other would hold all scores.
        keys, values = (each.repeat_interleave(shared, dim=1) for each in (keys, values))
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, enable_gqa=True)


def _attention_by_products(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """`masked_attention` by plain matrix products.

    On CPUs that multiply in bfloat16 this is faster than the fused kernel, although it holds the scores
    (forward and backward, 32 x 230 positions, 8 heads of 32: 45 against 140 ms).
    """
    batch, heads, length, head_dim = queries.shape
    kv_heads = keys.shape[1]
    scaled = (queries * head_dim**-0.5).reshape(batch, kv_heads, -1, head_dim)
    scores = (scaled @ keys.transpose(2, 3)).view(batch, heads, length, -1)
    if mask is not None:
        # An addition, unlike masked_fill, costs nothing in the backward pass.
        scores += torch.zeros_like(mask, dtype=scores.dtype).masked_fill(~mask, float("-inf"))
    weights = scores.softmax(-1).view(batch, kv_heads, -1, keys.shape[2])
    return (weights @ values).view(batch, heads, length, head_dim)


def rotary_angles(
    coordinates: Float[Tensor, "batch length 3"],
    dims: tuple[int, int, int],
    wavelengths: tuple[tuple[float, float], tuple[float, float], tuple[float, float]],
) -> Float[Tensor, "batch length waves"]:
    """Angle of every pair of features that turns, at every position.

    Args:
        dims: features of a head that each axis turns; even.
        wavelengths: the shortest and the longest of each axis, in units of its coordinate; those between
            are evenly spaced on a log scale.
    """
    axes = []
    for axis, (dim, (shortest, longest)) in enumerate(zip(dims, wavelengths, strict=True)):
        steps = torch.linspace(0, 1, dim // 2, device=coordinates.device, dtype=torch.float32)
        frequency = 2 * torch.pi / shortest * (shortest / longest) ** steps
        axes.append(coordinates[..., axis, None].float() * frequency)
    return torch.cat(axes, dim=-1)


def rotation_of(angles: Float[Tensor, "*batch length half"]) -> Rotation:
    """The rotation by these angles, as `rotate` takes it."""
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat((cosine, cosine), dim=-1), torch.cat((-sine, sine), dim=-1)


def rotate(
    features: Float[Tensor, "batch heads length head_dim"],
    rotation: tuple[Float[Tensor, "#batch 1 length head_dim"], Float[Tensor, "#batch 1 length head_dim"]],
) -> Float[Tensor, "batch heads length head_dim"]:
    """Turn each pair (i, i + head_dim / 2) of features by an angle (Su et al. 2021, arXiv:2104.09864)."""
    dtype = torch.promote_types(features.dtype, rotation[0].dtype)
    features, cosine, signed_sine = (part.to(dtype) for part in (features, *rotation))
    return rotate_alike(features, cosine, signed_sine)


def rotate_alike(
    features: Float[Tensor, "*#batch head_dim"],
    cosine: Float[Tensor, "*#batch head_dim"],
    signed_sine: Float[Tensor, "*#batch head_dim"],
) -> Float[Tensor, "*batch head_dim"]:
    """`rotate` for features and a rotation of one type, in any order of axes that broadcast."""
    swapped = features.roll(features.shape[-1] // 2, dims=-1)
    return torch.addcmul(features * cosine, swapped, signed_sine)
