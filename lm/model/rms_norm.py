"""The root-mean-square norm (Zhang & Sennrich 2019, arXiv:1910.07467): y = x w / sqrt(mean(x^2) + eps).

    RMSNorm      the module that a model has, for training and for a plain forward pass
    FoldedNorm   the same for generation: no gradient, constants multiplied into the weight

The kernels for GPUs (decoding/kernels.py) compute it inside the matrix product that follows.
"""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed in float32 or wider and returned in the type of its input."""

    eps: ClassVar[float] = 1e-6

    def __init__(self, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, features: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        wide = torch.promote_types(features.dtype, torch.float32)
        # On CPUs PyTorch composes its own of a dozen operations.
        norm = _FewOperations.apply if features.device.type == "cpu" else _fused
        return norm(features.to(wide), self.weight.to(wide), self.eps).to(features.dtype)


class FoldedNorm:
    """`RMSNorm` in four operations: x sqrt(d) w / sqrt(|x|^2 + d eps).

    Args:
        weight: of one norm, or of several that are applied together: (heads, dim).
    """

    def __init__(self, weight: Float[Tensor, "*heads dim"]):
        size = weight.shape[-1]
        wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
        self.weight = wide * size**0.5
        self.least = wide.new_tensor((size * RMSNorm.eps) ** 0.5)

    def __call__(self, features: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        if features.dtype == self.weight.dtype:  # a cast to the same type takes time, too
            return self.wide(features)
        return self.wide(features.to(self.weight.dtype)).to(features.dtype)

    def wide(self, features: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """The norm in float32 or wider, and returned so."""
        size = torch.linalg.vector_norm(features, dim=-1, keepdim=True, dtype=self.weight.dtype)
        return (features / torch.hypot(size, self.least)).mul_(self.weight)


def _fused(features: Tensor, weight: Tensor, eps: float) -> Tensor:
    return F.rms_norm(features, weight.shape, weight, eps)


class _FewOperations(torch.autograd.Function):
    """y = x w / r with r = sqrt(mean(x^2) + eps); with n = x / r, dx = (w dy - n mean(w dy n)) / r."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, eps: float) -> Tensor:
        size = torch.linalg.vector_norm(features, dim=-1, keepdim=True)
        scale = size.square_().div_(len(weight)).add_(eps).rsqrt_()
        normed = features * scale
        ctx.save_for_backward(normed, scale, weight)
        return normed * weight

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        normed, scale, weight = ctx.saved_tensors
        products = gradient * normed
        mean = (products @ weight).div_(len(weight))[..., None]
        features_gradient = torch.addcmul(gradient * weight, normed, mean, value=-1).mul_(scale)
        return features_gradient, products.flatten(0, -2).sum(0), None
