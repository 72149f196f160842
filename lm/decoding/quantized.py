"""int8 weights for generation: a token reads half to a quarter of the bytes.

A row of a matrix is stored as round(row / scale) with scale = max |row| / 127, so the error of a weight is at
most max |row| / 254. On CPUs all positions go through one kernel that multiplies bfloat16 activations (with 8
bits of precision, too) by int8 weights: what a position gets does not depend on how many others it is
multiplied with. For prompts (hundreds of positions) it takes up to twice as long as a product with
dequantized weights, for the few positions of all other passes half to a fiftieth. For float32 activations
the kernel is ten times slower. On GPUs weights are dequantized; there torch.compile merges both steps.

Rounding activations to 8 bits makes differences in the last bit of float32, which attention has in batches of
other widths, large enough to change a choice now and then. So the same seed gives the same clip in the same
batch, and in another one most often.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..model.transformer import PrefixLM

_KERNEL_STEP = 16  # features that the CPU's kernel takes at a time; it reads past the end of other sizes


class Int8Linear(nn.Module):
    """A linear layer without bias, with weights in int8."""

    weight: Tensor
    scale: Tensor
    kernel_scale: Tensor

    def __init__(self, linear: nn.Linear):
        super().__init__()
        weight = linear.weight.detach()
        scale = weight.float().abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127
        self.register_buffer("weight", torch.round(weight.float() / scale[:, None]).to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("kernel_scale", scale.bfloat16())

    def forward(self, features: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch classes"]:
        flat = features.reshape(-1, features.shape[-1])
        if features.device.type != "cpu":
            scaled = F.linear(features, self.weight.to(features.dtype)) * self.scale
            return scaled.to(features.dtype)
        product = torch._weight_int8pack_mm(flat.bfloat16(), self.weight, self.kernel_scale)
        return product.to(features.dtype).view(*features.shape[:-1], -1)

    def _save_to_state_dict(self, destination: object, prefix: str, keep_vars: bool) -> None:
        raise ValueError("the weights of this model are in int8 for generation; save it before `quantize`")


def quantize(model: PrefixLM) -> PrefixLM:
    """Turn the matrices of all layers and heads into int8, in place; the model then only generates.

    Embeddings and norms stay: a token reads a row of them. Matrices whose width the kernel does not take
    stay as well.
    """
    for part in (*model.layers, *model.heads.values()):
        for module in part.modules():
            for name, child in module.named_children():
                if isinstance(child, nn.Linear) and child.in_features % _KERNEL_STEP == 0:
                    setattr(module, name, Int8Linear(child))
    return model.eval()
