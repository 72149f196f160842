"""Lookup-free quantisation: a code is the signs of the latent's channels.

Yu et al. 2023 (arXiv:2310.05737), section 3.1. The codebook is {-1, +1} ** bits and is never stored.
Everything here is float32, also under autocast: the entropies are sums over small probabilities.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, distributed


def codes_from_latents(latents: Float[Tensor, "*grid bits"]) -> Int[Tensor, "*grid"]:
    """Index of each latent's signs; bit i is channel i, so channel 0 is the lowest."""
    weights = 2 ** torch.arange(latents.shape[-1], device=latents.device)
    return ((latents > 0) * weights).sum(-1)


def latents_from_codes(codes: Int[Tensor, "*grid"], bits: int) -> Float[Tensor, "*grid bits"]:
    """The entry of the codebook, -1 or +1 in each channel: the inverse of `codes_from_latents`."""
    shifts = torch.arange(bits, device=codes.device)
    return ((codes.unsqueeze(-1) >> shifts) & 1).float() * 2 - 1


def quantize(latents: Float[Tensor, "*grid bits"]) -> Float[Tensor, "*grid bits"]:
    """Signs of the latents; the gradient passes straight through to the latents."""
    latents = latents.float()
    return latents + (_signs(latents) - latents).detach()


def commitment(latents: Float[Tensor, "*grid bits"]) -> Float[Tensor, ""]:
    """Mean squared distance of the latents to their signs."""
    latents = latents.float()
    return F.mse_loss(latents, _signs(latents))


def entropies(
    latents: Float[Tensor, "*grid bits"], temperature: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """E[H(q(z))] and H(E[q(z)]) in nats, both exact.

    q(z) is the softmax of -|z - c|^2 / temperature over all codes c. Its bits are independent with
    probability sigmoid(4 z / temperature), so the first term is a sum of binary entropies. In the second,
    q(z) is the outer product of its low and its high half, and the mean of outer products is one matrix
    product: 2 ** bits numbers in all instead of 2 ** bits for every latent. In a distributed run that mean
    is over the latents of all processes.

    Returns:
        the entropy of a latent's soft code (to be made small) and that of the mean soft code (to be made
        large; at most log(number of latents) and bits * log 2).
    """
    with torch.autocast(latents.device.type, enabled=False):
        logits = latents.float().flatten(0, -2) * (4 / temperature)
        per_sample = (F.softplus(logits) - logits * logits.sigmoid()).sum(1).mean()
        half = logits.shape[1] // 2
        low, high = _distribution(logits[:, :half]), _distribution(logits[:, half:])
        joint = _mean_over_processes(low.T @ high / len(logits))
        # The smallest float32 keeps the gradient finite at 0. A larger one would swamp 1 / 2 ** 18.
        batch = -(joint * (joint + torch.finfo(joint.dtype).tiny).log()).sum()
    return per_sample, batch


def saturated_bits(latents: Float[Tensor, "*grid bits"], temperature: float) -> Float[Tensor, ""]:
    """Share of the bits whose soft value is certain to 1 %, which the entropies hardly move any more."""
    return (latents.float().abs() * (4 / temperature) > math.log(99)).float().mean()


def code_statistics(counts: Int[Tensor, " codebook_size"]) -> dict[str, float]:
    """How a codebook of 2 ** bits entries is used, from the number of times that each code was seen.

    Returns:
        code_use: share of the codebook that was seen. perplexity: exp of the codes' entropy, the number of
        codes in even use that would carry as much. bit_balance: twice the share of the rarer value of the
        least balanced bit; 0 means a bit that never changes, 1 that every bit is set half of the time.
    """
    total = counts.sum()
    if total == 0:
        raise ValueError("no codes were counted")
    shares = counts.double() / total
    bits = (len(counts) - 1).bit_length()
    index = torch.arange(len(counts), device=counts.device)
    is_set = torch.stack([shares[(index >> bit) & 1 == 1].sum() for bit in range(bits)])
    return {
        "code_use": (counts > 0).double().mean().item(),
        "perplexity": torch.special.entr(shares).sum().exp().item(),
        "bit_balance": 2 * torch.minimum(is_set, 1 - is_set).min().item(),
    }


def _signs(latents: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """-1 or +1; zero counts as negative, as in `codes_from_latents`."""
    return torch.where(latents > 0, 1.0, -1.0)


def _distribution(logits: Float[Tensor, "latents bits"]) -> Float[Tensor, "latents codes"]:
    """Probability of each of the 2 ** bits codes, given the logit of each bit, the lowest first."""
    codes = logits.new_ones(len(logits), 1)
    for bit in logits.unbind(1):
        codes = torch.cat([codes * (-bit).sigmoid()[:, None], codes * bit.sigmoid()[:, None]], dim=1)
    return codes


def _mean_over_processes(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The mean over a distributed run, with gradients to every process; as many latents on each."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return values
    return _SumOverProcesses.apply(values) / distributed.get_world_size()


class _SumOverProcesses(torch.autograd.Function):
    """The sum, in which every process' loss has a share: its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        values = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        return _SumOverProcesses.apply(gradient)
