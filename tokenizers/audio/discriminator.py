"""The discriminators of the audio codec, which see its complex spectrum at several resolutions.

    waveform -> STFT, real and imaginary -> conv -> 3 convs, dilated in time, strided in frequency
             -> conv -> conv -> logits

EnCodec's multi-scale STFT discriminator (Défossez et al. 2022, arXiv:2210.13438, section 3.3 and figure 2)
with its hinge and feature matching losses (section 3.4).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.parametrizations import weight_norm

from ...training.processes import mean_over_processes

_SLOPE = 0.2
_DILATIONS = (1, 2, 4)  # in time, while the frequencies are halved


@dataclass(frozen=True)
class AudioDiscriminatorConfig:
    """Shape of the discriminators.

    Args:
        windows: samples of the STFT of each, a quarter of which is its hop.
        channels: of every hidden layer; the paper's is 32.
    """

    windows: tuple[int, ...] = (2048, 1024, 512, 256, 128)
    channels: int = 32

    def __post_init__(self) -> None:
        if not self.windows or any(window < 64 or window % 4 for window in self.windows):
            raise ValueError(f"windows are {self.windows}; expected multiples of 4, each 64 or more")
        if self.channels < 1:
            raise ValueError(f"channels is {self.channels}; expected 1 or more")


class StftDiscriminator(nn.Module):
    """Logits over time and frequency, and the features of every layer before them."""

    window: Tensor

    def __init__(self, window: int, channels: int):
        super().__init__()
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        layers = [_conv(2, channels, (3, 9))]
        layers += [_conv(channels, channels, (3, 9), (1, 2), (dilation, 1)) for dilation in _DILATIONS]
        layers += [_conv(channels, channels, (3, 3))]
        self.layers = nn.ModuleList(layers)
        self.logits = _conv(channels, 1, (3, 3))

    def forward(self, waveform: Float[Tensor, "batch 1 samples"]) -> list[Float[Tensor, "batch _ _ _"]]:
        size = self.window.shape[0]
        spectrum = torch.stft(
            waveform[:, 0].float(),
            size,
            size // 4,
            window=self.window,
            normalized=True,
            pad_mode="constant",
            return_complex=True,
        )
        features = rearrange(torch.view_as_real(spectrum), "batch f t parts -> batch parts t f")
        seen = []
        for layer in self.layers:
            features = F.leaky_relu(layer(features), _SLOPE)
            seen.append(features)
        return [*seen, self.logits(features)]


class AudioAdversary(nn.Module):
    """The discriminators with the losses of both sides, for one backward pass."""

    def __init__(self, config: AudioDiscriminatorConfig):
        super().__init__()
        self.discriminators = nn.ModuleList(
            StftDiscriminator(window, config.channels) for window in config.windows
        )

    def generator_losses(
        self, decoded: Float[Tensor, "batch 1 samples"], real: Float[Tensor, "batch 1 samples"]
    ) -> dict[str, Float[Tensor, ""]]:
        """`generator` and `feature`, with gradients to the decoded sound and to no parameter."""
        adversarial, feature = [], []
        for discriminator in self.discriminators:
            parameters = {name: weight.detach() for name, weight in discriminator.named_parameters()}
            with torch.no_grad():
                real_features = discriminator(real)
            decoded_features = functional_call(discriminator, parameters, (decoded,))
            adversarial.append(F.relu(1 - decoded_features[-1]).mean())
            feature += [
                (ours - theirs).abs().mean() / theirs.abs().mean().clamp(min=1e-6)
                for ours, theirs in zip(decoded_features[:-1], real_features[:-1], strict=True)
            ]
        return {"generator": torch.stack(adversarial).mean(), "feature": torch.stack(feature).mean()}

    def discriminator_loss(
        self, decoded: Float[Tensor, "batch 1 samples"], real: Float[Tensor, "batch 1 samples"]
    ) -> Float[Tensor, ""]:
        """The hinge loss, with gradients to the parameters only: 2 for a guessing discriminator."""
        losses = [
            F.relu(1 - discriminator(real)[-1]).mean()
            + F.relu(1 + discriminator(decoded.detach())[-1]).mean()
            for discriminator in self.discriminators
        ]
        return torch.stack(losses).mean()


class Balancer(nn.Module):
    """Losses on one output, weighted by their share of its gradient instead of by their size.

    Each loss's gradient is divided by the running average of its length and multiplied by its weight, so
    that a weight says what share of the whole gradient it has, whatever the scale of the loss (Défossez et
    al. 2022, section 3.4, "Balancer"). The averages are over all processes. A step with a non-finite gradient
    is not taken into them, where it would stay for ever.

    Args:
        weights: of the losses, by name.
        decay: share of the old average in the new one.
    """

    sums: Tensor
    count: Tensor

    def __init__(self, weights: dict[str, float], decay: float = 0.999):
        super().__init__()
        self.weights, self.decay = weights, decay
        self.register_buffer("sums", torch.zeros(len(weights)))
        self.register_buffer("count", torch.zeros(()))

    def forward(
        self, losses: dict[str, Float[Tensor, ""]], output: Float[Tensor, "*shape"]
    ) -> Float[Tensor, ""]:
        """A scalar whose gradient at the output is the balanced one; its value means nothing."""
        gradients = [torch.autograd.grad(losses[name], output, retain_graph=True)[0] for name in self.weights]
        lengths = torch.stack([gradient.norm() for gradient in gradients])
        lengths = mean_over_processes(lengths)
        is_finite = lengths.isfinite().all()  # a choice by tensors, for which no device is waited for
        self.sums.copy_(torch.where(is_finite, self.sums * self.decay + lengths, self.sums))
        self.count.copy_(torch.where(is_finite, self.count * self.decay + 1, self.count))
        averages = self.sums / self.count
        total = sum(self.weights.values())
        shares = [weight / total for weight in self.weights.values()]
        balanced = [
            gradient * (share / average.clamp(min=1e-12))
            for gradient, share, average in zip(gradients, shares, averages, strict=True)
        ]
        return (output * torch.stack(balanced).sum(0).detach()).sum()


def _conv(
    in_channels: int,
    out_channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> nn.Module:
    in_time, in_frequency = ((size - 1) * step // 2 for size, step in zip(kernel, dilation, strict=True))
    padding = (in_time, in_frequency)
    return weight_norm(nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation))
