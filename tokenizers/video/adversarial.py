"""Losses of a generator and a discriminator that train against each other.

Both may be stepped from one backward pass, as MAGVIT does, since neither reaches the other's parameters:

    fake = tokenizer(pixels)
    real_logits, penalty = gradient_penalty(discriminator, pixels)
    fake_logits = discriminator(fake.detach())
    loss = weight * generator_loss(frozen(discriminator)(fake))
    loss += discriminator_loss(real_logits, fake_logits) + 10 * penalty
    loss += 0.001 * lecam(real_logits, fake_logits)

The losses and these weights are those of MAGVIT-v2 (Yu et al. 2023, arXiv:2310.05737, appendix A.2).
Everything here is float32, also where the networks run in less.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, distributed, nn
from torch.func import functional_call

from .discriminator import Discriminator, DiscriminatorConfig


def generator_loss(fake_logits: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
    """-log sigmoid(D(fake)), the non-saturating loss (Goodfellow et al. 2014, arXiv:1406.2661, section 3)."""
    return F.softplus(-fake_logits.float()).mean()


def discriminator_loss(
    real_logits: Float[Tensor, " real"], fake_logits: Float[Tensor, " fake"]
) -> Float[Tensor, ""]:
    """-log sigmoid(D(real)) - log(1 - sigmoid(D(fake))), each a mean: 2 log 2 at chance."""
    return F.softplus(-real_logits.float()).mean() + F.softplus(fake_logits.float()).mean()


def frozen(discriminator: nn.Module) -> Callable[[Tensor], Tensor]:
    """The discriminator as a function whose gradient reaches the pixels and none of its parameters.

    The parameters are those of the moment of this call: call it again in every step.
    """
    parameters = {name: parameter.detach() for name, parameter in discriminator.named_parameters()}
    return lambda pixels: functional_call(discriminator, parameters, (pixels,))


def gradient_penalty(
    discriminator: nn.Module, pixels: Float[Tensor, "batch 3 frames height width"]
) -> tuple[Float[Tensor, " batch"], Float[Tensor, ""]]:
    """R1, the squared length of the gradient of D(real) (Mescheder et al. 2018, arXiv:1801.04406, eq. 9).

    There is no factor inside: a cost of 10 here is gamma = 20 in that paper's gamma / 2, and it is what
    MAGVIT's code calls a penalty cost of 10. That code has pixels in [0, 1], ours are in [-1, 1] and their
    gradient half as long, so that its penalty of cost 10 is ours of cost 40.

    Args:
        discriminator: logits of clips from their pixels, each clip on its own (no batch statistics).
        pixels: real clips.

    Returns:
        the logits of the clips, with their gradient, so that no other pass over them is needed; and the
        mean over clips of the sum over pixels of the squared gradient.
    """
    with torch.enable_grad(), torch.autocast(pixels.device.type, enabled=False):
        pixels = pixels.detach().float().requires_grad_()
        logits = discriminator(pixels)
        (gradient,) = torch.autograd.grad(logits.sum(), pixels, create_graph=True)
        return logits, gradient.square().flatten(1).sum(1).mean()


class LeCam(nn.Module):
    """A penalty that keeps logits of real clips near the running average of fake ones, and vice versa.

    It regularises the discriminator when data are few (Tseng et al. 2021, arXiv:2104.03310, section 3), in
    the one-sided form of their code: mean(relu(D(real) - average fake)^2 + relu(average real - D(fake))^2).

    A call measures with the averages of the earlier calls and updates them afterwards; the first call has
    none: it gives 0 and starts the averages with its own means. In evaluation mode nothing is updated. In
    a distributed run the averages are over all processes, which need the same number of clips each.

    Args:
        decay: share of the old average in the new one.

    Raises:
        ValueError: if decay is not in [0, 1).
    """

    averages: Tensor
    has_averages: Tensor

    def __init__(self, decay: float = 0.999):
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}; expected 0 or more and less than 1")
        self.decay = decay
        self.register_buffer("averages", torch.zeros(2))
        self.register_buffer("has_averages", torch.tensor(False))

    def forward(
        self, real_logits: Float[Tensor, " real"], fake_logits: Float[Tensor, " fake"]
    ) -> Float[Tensor, ""]:
        real_logits, fake_logits = real_logits.float(), fake_logits.float()
        # Copies: the update must not change what the backward pass reads.
        (real_average, fake_average), has_averages = self.averages.clone(), self.has_averages.clone()
        penalty = F.relu(real_logits - fake_average).square().mean()
        penalty = penalty + F.relu(real_average - fake_logits).square().mean()
        penalty = penalty * has_averages
        if self.training:
            self._update(torch.stack([real_logits.detach().mean(), fake_logits.detach().mean()]))
        return penalty

    def _update(self, means: Float[Tensor, " kinds"]) -> None:
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(means)
            means = means / distributed.get_world_size()
        # A choice by tensors: asking for the flag's value would wait for the device.
        self.averages.copy_(torch.where(self.has_averages, self.averages.lerp(means, 1 - self.decay), means))
        self.has_averages.fill_(True)


class Adversary(nn.Module):
    """A discriminator with the losses of both sides, for one backward pass."""

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.discriminator = Discriminator(config)
        self.lecam = LeCam()

    def forward(
        self,
        reconstruction: Float[Tensor, "batch 3 frames height width"],
        pixels: Float[Tensor, "batch 3 frames height width"],
    ) -> dict[str, Float[Tensor, ""]]:
        """`generator`, with a gradient to the reconstruction only, and what the discriminator learns from.

        These are `discriminator`, `gradient_penalty` and `lecam`, with gradients to its parameters only.
        """
        real_logits, penalty = gradient_penalty(self.discriminator, pixels)
        fake_logits = self.discriminator(reconstruction.detach())
        return {
            "generator": generator_loss(frozen(self.discriminator)(reconstruction)),
            "discriminator": discriminator_loss(real_logits, fake_logits),
            "gradient_penalty": penalty,
            "lecam": self.lecam(real_logits, fake_logits),
        }
