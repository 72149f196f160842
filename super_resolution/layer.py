"""A layer of the super-resolution transformer: three attentions and a feed-forward block on one residual
stream.

    codes of the large clip, in windows   see   themselves
                                                the low-resolution codes of the same place
                                                all words of the text

What is seen does not change while codes are decoded, so that its keys and values (`Seen`) can be kept.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from ..lm.model.attention import Attend, Attention, Rotation, rotate
from ..lm.model.fused_linear import FusedLinear
from ..lm.model.rms_norm import RMSNorm
from ..lm.model.swiglu import swiglu


class Seen(NamedTuple):
    """Keys and values (batch heads positions head_dim) of what a cross-attention reads."""

    keys: Tensor
    values: Tensor


class Sight(NamedTuple):
    """How the attentions of one layer see: which keys a query has (`Attend`), and rotary positions.

    Args:
        own, low, text: attention of each kind; `text` is None for a stage without text.
        rotation: of the large grid.
        low_rotation: of the low-resolution grid, in the same coordinates.
    """

    own: Attend
    low: Attend
    text: Attend | None
    rotation: Rotation
    low_rotation: Rotation


class CrossAttention(nn.Module):
    """Attention of the residual stream to something else, with normalised queries and keys.

    Args:
        dim: features of both.
        heads: of queries, keys and values.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.project_queries = nn.Linear(dim, dim, bias=False)
        self.project_in = FusedLinear(dim, (dim, dim))
        self.query_norm = RMSNorm(dim // heads)
        self.key_norm = RMSNorm(dim // heads)
        self.project_out = nn.Linear(dim, dim, bias=False)

    def see(self, other: Float[Tensor, "batch positions dim"], rotation: Rotation | None) -> Seen:
        """Keys and values of what is to be read; without a rotation it has no place."""
        keys, values = (self._split(each) for each in self.project_in(other).chunk(2, dim=-1))
        keys = self.key_norm(keys)
        return Seen(keys if rotation is None else rotate(keys, rotation).to(values.dtype), values)

    def forward(
        self,
        hidden: Float[Tensor, "batch length dim"],
        rotation: Rotation | None,
        seen: Seen,
        attend: Attend,
    ) -> Float[Tensor, "batch length dim"]:
        queries = self.query_norm(self._split(self.project_queries(hidden)))
        if rotation is not None:
            queries = rotate(queries, rotation).to(seen.values.dtype)
        return self.project_out(attend(0, queries, *seen).transpose(1, 2).flatten(2))

    def _split(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class WindowedLayer(nn.Module):
    """Self-attention, cross-attention to the low-resolution codes and to the text, feed-forward block
    (SwiGLU), each pre-norm.

    Args:
        dim: features of the residual stream.
        heads: of each attention.
        hidden: width of the feed-forward block between its two matrices.
        has_text: whether there is a text to attend to.
    """

    def __init__(self, dim: int, heads: int, hidden: int, has_text: bool):
        super().__init__()
        self.attention_norm = RMSNorm(dim)
        self.attention = Attention(0, dim, heads, heads)
        self.low_norm = RMSNorm(dim)
        self.low_attention = CrossAttention(dim, heads)
        self.text_norm = RMSNorm(dim) if has_text else None
        self.text_attention = CrossAttention(dim, heads) if has_text else None
        self.feed_forward_norm = RMSNorm(dim)
        self.project_in = FusedLinear(dim, (hidden, hidden))
        self.project_out = nn.Linear(hidden, dim, bias=False)

    def see(
        self,
        low: Float[Tensor, "batch low_positions dim"],
        text: Float[Tensor, "batch pieces dim"] | None,
        sight: Sight,
    ) -> tuple[Seen, Seen | None]:
        """Keys and values of the low-resolution codes and of the text."""
        read = None if self.text_attention is None or text is None else self.text_attention.see(text, None)
        return self.low_attention.see(low, sight.low_rotation), read

    def forward(
        self,
        hidden: Float[Tensor, "batch length dim"],
        low: Float[Tensor, "batch low_positions dim"],
        text: Float[Tensor, "batch pieces dim"] | None,
        sight: Sight,
    ) -> Float[Tensor, "batch length dim"]:
        return self.after_seeing(hidden, self.see(low, text, sight), sight)

    def after_seeing(
        self, hidden: Float[Tensor, "batch length dim"], seen: tuple[Seen, Seen | None], sight: Sight
    ) -> Float[Tensor, "batch length dim"]:
        """The layer, with what `see` gave."""
        low, text = seen
        hidden = hidden + self.attention(self.attention_norm(hidden), sight.rotation, sight.own)
        hidden = hidden + self.low_attention(self.low_norm(hidden), sight.rotation, low, sight.low)
        if self.text_attention is not None:
            assert self.text_norm is not None and text is not None and sight.text is not None
            hidden = hidden + self.text_attention(self.text_norm(hidden), None, text, sight.text)
        return hidden + self.project_out(swiglu(self.project_in(self.feed_forward_norm(hidden))))
