"""Initialisation at unit gain, by which a codec learns the soft parts of a sound as well as the loud."""

from typing import Any

import torch
from torch import nn

_LOUDNESS = 0.2  # of the noise, and of what comes back
_SECONDS_OF_NOISE = 4


@torch.no_grad()
def start_at_unit_gain(encodec: nn.Module) -> None:
    """Scale every convolution of a fresh EncodecModel so that noise leaves it with a spread of one.

    With PyTorch's initialisation a sound leaves eight layers at a hundredth of its size, so that gradients of
    soft and rare sounds are tiny and the codec learns the loud notes alone. One forward pass sets all scales
    (Mishkin & Matas 2016, "All you need is a good init", arXiv:1511.06422, without its orthogonal matrices).
    """
    convolutions = [
        module for module in encodec.modules() if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d))
    ]
    last = convolutions[-1]

    def scale(module: nn.Module, _: tuple, output: torch.Tensor) -> torch.Tensor:
        # Two digits: the last digits of a sum depend on the number of threads, and the weights must not.
        gain = float(f"{(_LOUDNESS if module is last else 1.0) / output.std().item():.2g}")
        length, direction = weight_norm_of(module)
        length.mul_(gain)
        direction.div_(direction.flatten(1).norm(dim=1)[:, None, None])
        return output * gain

    for convolution in convolutions:
        assert convolution.bias is not None
        nn.init.zeros_(convolution.bias)
    hooks = [convolution.register_forward_hook(scale) for convolution in convolutions]
    config: Any = encodec.config
    samples = _SECONDS_OF_NOISE * config.sampling_rate // config.hop_length * config.hop_length
    noise = torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(0)) * _LOUDNESS
    encoder, decoder = encodec.get_submodule("encoder"), encodec.get_submodule("decoder")
    decoder(encoder(noise))
    for hook in hooks:
        hook.remove()


def weight_norm_of(convolution: nn.Module) -> tuple[nn.Parameter, nn.Parameter]:
    """Length and direction of a weight under weight normalisation; the norm of the latter has no effect."""
    normed = convolution.get_submodule("parametrizations.weight")
    return normed.get_parameter("original0"), normed.get_parameter("original1")
