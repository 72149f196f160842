"""A layer of the transformer: attention, then a feed-forward block, each added to the residual stream.

Generation runs the same layer in fewer operations (decoding/inference.py) and, for a few rows on a GPU, in
kernels of its own (decoding/kernels.py). The first uses the methods below; the kernels cannot, since they
merge norms and residuals with the matrix products. tests/lm/decoding/test_layer_forms.py compares all.
"""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from .attention import Attend, Attention, Rotation
from .fused_linear import FusedLinear
from .rms_norm import RMSNorm
from .swiglu import swiglu


class Layer(nn.Module):
    """Pre-norm attention and feed-forward block (SwiGLU).

    Args:
        index: the number of this layer.
        dim: features of the residual stream.
        heads: query heads.
        kv_heads: heads of keys and values.
        hidden: width of the feed-forward block between its two matrices.
    """

    def __init__(self, index: int, dim: int, heads: int, kv_heads: int, hidden: int):
        super().__init__()
        self.attention_norm = RMSNorm(dim)
        self.attention = Attention(index, dim, heads, kv_heads)
        self.feed_forward_norm = RMSNorm(dim)
        self.project_in = FusedLinear(dim, (hidden, hidden))
        self.project_out = nn.Linear(hidden, dim, bias=False)

    def forward(
        self, hidden: Float[Tensor, "batch length dim"], rotation: Rotation, attend: Attend
    ) -> Float[Tensor, "batch length dim"]:
        attended = self.attention(self.attention_norm(hidden), rotation, attend)
        return self.after_attention(hidden, attended, self.feed_forward_norm)

    def compile(self, *arguments: Any, **options: Any) -> None:
        """As of any module, but what reads the masks stays as it is."""
        self.attention.read_uncompiled()
        super().compile(*arguments, **options)

    def after_attention(
        self,
        hidden: Float[Tensor, "batch length dim"],
        attended: Float[Tensor, "batch length dim"],
        feed_forward_norm: Callable[[Tensor], Tensor],
    ) -> Float[Tensor, "batch length dim"]:
        """The rest of the layer: attention's output joins the residual stream, and the feed-forward block."""
        hidden = hidden + attended
        return hidden + self.project_out(swiglu(self.project_in(feed_forward_norm(hidden))))
