"""Losses of a generator and a discriminator that train against each other.

Both may be stepped from one backward pass, as MAGVIT does, since neither reaches the other's parameters:

    fake = tokenizer(pixels)
    real_logits, fake_logits = discriminator(pixels), discriminator(fake.detach())
    loss = weight * generator_loss(frozen(discriminator)(fake))
    loss += discriminator_loss(real_logits, fake_logits) + 0.001 * lecam(real_logits, fake_logits)
    if step % every == 0:
        loss += every * 10 * gradient_penalty(discriminator, pixels)

The losses are those of MAGVIT-v2 (Yu et al. 2023, arXiv:2310.05737, appendix A.2). Its weights belong to
pixels in [0, 1]; what they are for ours says configs/tokenizer/magvit2-128.yaml. The penalty is lazy: every
so many steps, as many times stronger (Karras et al. 2020, arXiv:1912.04958, section 3.2).

Real and fake clips take the same path through the discriminator, in the same types: a rounding that only one
of them has would be a difference that the generator cannot remove. What is made of the logits is float32.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from ...training.processes import mean_over_processes
from .discriminator import Discriminator, DiscriminatorConfig

PenaltyForm = Literal["exact", "noise"]
# Deviation of the noise of `noise_penalty`, for pixels in [-1, 1]. The rounding of bfloat16 is then a few per
# cent of the differences; the curvature of the logits hardly counts yet.
NOISE = 0.1


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
) -> Float[Tensor, ""]:
    """R1, the squared length of the gradient of D(real) (Mescheder et al. 2018, arXiv:1801.04406, eq. 9).

    There is no factor inside: a cost of 10 here is gamma = 20 in that paper's gamma / 2, and it is what
    MAGVIT's code calls a penalty cost of 10. That code has pixels in [0, 1], ours are in [-1, 1] and their
    gradient half as long, so that its penalty of cost 10 is ours of cost 40.

    Its own gradient needs second derivatives, which are float32 whatever the discriminator runs in. R3GAN
    (Huang et al. 2024, arXiv:2501.05441, section 2.2) has the same penalty on generated clips too; here LeCAM
    is beside it.

    Args:
        discriminator: logits of clips from their pixels, each clip on its own (no batch statistics).
        pixels: real clips.

    Returns:
        the mean over clips of the sum over pixels of the squared gradient.
    """
    with torch.enable_grad(), torch.autocast(pixels.device.type, enabled=False):
        pixels = pixels.detach().float().requires_grad_()
        logits = discriminator(pixels)
        (gradient,) = torch.autograd.grad(logits.sum(), pixels, create_graph=True)
        return gradient.square().flatten(1).sum(1).mean()


def noise_penalty(
    discriminator: nn.Module,
    pixels: Float[Tensor, "batch 3 frames height width"],
    logits: Float[Tensor, " batch"],
    generator: torch.Generator,
    noise: float = NOISE,
) -> Float[Tensor, ""]:
    """R1 from one more forward pass: the mean of (D(real + noise n) - D(real))^2 / noise^2 with normal n.

    Its expectation over n is the squared length of the gradient, plus terms in noise^2 that curvature adds,
    since E[(g n)^2] = |g|^2. A single draw has a deviation of sqrt(2) times that. It is the approximated R1
    of Lin et al. 2025 (arXiv:2501.08316, section 3.3), whose weight is here divided by noise^2, so that both
    forms take the same weight. No second derivative is needed, and it runs in the types that the
    discriminator runs in.

    Args:
        logits: of `pixels`, with their gradient.
        generator: of the noise, on the device of the pixels.
    """
    draw = torch.randn(pixels.shape, generator=generator, device=pixels.device)
    moved = discriminator(pixels.detach() + noise * draw)
    return ((moved.float() - logits.float()) / noise).square().mean()


class LeCam(nn.Module):
    """A penalty that keeps logits of real clips near the running average of fake ones, and vice versa.

    It regularises the discriminator when data are few (Tseng et al. 2021, arXiv:2104.03310, section 3), in
    the one-sided form of their code: mean(relu(D(real) - average fake)^2 + relu(average real - D(fake))^2).

    A call measures with the averages of the earlier calls and updates them afterwards; the first call has
    none: it gives 0 and starts the averages with its own means. In evaluation mode nothing is updated. In
    a distributed run the averages are over all processes, which need the same number of clips each.
    Non-finite logits are not taken into the averages, where they would stay for ever.

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
        means = mean_over_processes(means)
        # Choices by tensors: asking for a flag's value would wait for the device.
        is_finite = means.isfinite().all()
        updated = torch.where(self.has_averages, self.averages.lerp(means, 1 - self.decay), means)
        self.averages.copy_(torch.where(is_finite, updated, self.averages))
        self.has_averages.logical_or_(is_finite)


class Adversary(nn.Module):
    """A discriminator with the losses of both sides, for one backward pass.

    Args:
        penalty: "exact" is `gradient_penalty`, "noise" is `noise_penalty`.

    Raises:
        ValueError: if the penalty is neither.
    """

    def __init__(self, config: DiscriminatorConfig, penalty: PenaltyForm = "exact"):
        super().__init__()
        if penalty not in get_args(PenaltyForm):
            raise ValueError(f"gradient_penalty is {penalty!r}; expected one of {get_args(PenaltyForm)}")
        self.discriminator = Discriminator(config)
        self.lecam = LeCam()
        self.penalty = penalty

    def forward(
        self,
        reconstruction: Float[Tensor, "batch 3 frames height width"],
        pixels: Float[Tensor, "batch 3 frames height width"],
        generator: torch.Generator | None = None,
    ) -> dict[str, Float[Tensor, ""]]:
        """`generator`, with a gradient to the reconstruction only, and what the discriminator learns from.

        These are `discriminator`, `lecam` and `gradient_penalty`, with gradients to its parameters only.

        Args:
            generator: of random numbers for the penalty; None leaves it out in this step.
        """
        real_logits = self.discriminator(pixels)
        fake_logits = self.discriminator(reconstruction.detach())
        losses = {
            "generator": generator_loss(frozen(self.discriminator)(reconstruction)),
            "discriminator": discriminator_loss(real_logits, fake_logits),
            "lecam": self.lecam(real_logits, fake_logits),
        }
        if generator is None:
            return losses
        if self.penalty == "exact":
            return losses | {"gradient_penalty": gradient_penalty(self.discriminator, pixels)}
        return losses | {
            "gradient_penalty": noise_penalty(self.discriminator, pixels, real_logits, generator)
        }
