"""The gated activation of the model's feed-forward blocks and heads."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def swiglu(gate_and_value: Float[Tensor, "*batch twice"]) -> Float[Tensor, "*batch dim"]:
    """SwiGLU (Shazeer 2020, arXiv:2002.05202); the first half of the features is the gate of the second."""
    gate, value = gate_and_value.chunk(2, dim=-1)
    return F.silu(gate) * value
