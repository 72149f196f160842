"""The audio codec for sound that comes in parts, in memory that does not grow with it.

Walks the layers of transformers' `EncodecModel` and keeps, of each, what the next part needs:

    convolution              its last (kernel - stride) inputs, zeros before the first part
    transposed convolution   the sums of its last (kernel - stride) outputs, to which the next part adds
    LSTM                     its hidden and cell states

Parts are whole numbers of hops, so no layer meets an incomplete window, and with padding on the left alone
the parts give what the sound gives as a whole (Défossez et al. 2022, arXiv:2210.13438, section 3.1).
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Memory = dict[nn.Module, Tensor]
"""What each layer keeps of the parts before; empty before the first."""

# What makes a codec causal, as EncodecConfig names it. Reflecting padding mirrors samples that are still to
# come, and the other norm on offer takes statistics over time.
_CAUSAL = {
    "use_causal_conv": True,
    "pad_mode": "constant",
    "norm_type": "weight_norm",
    "trim_right_ratio": 1.0,
}


def is_streamable(encodec: nn.Module) -> bool:
    """Whether a codec is causal, so that its sound may come in parts."""
    return not _obstacles(encodec)


class AudioEncoderStream:
    """Codes of a sound whose samples come in parts of any length.

    Raises:
        ValueError: if the codec is not causal.
    """

    def __init__(self, encodec: nn.Module):
        _check_streamable(encodec)
        self.encodec: Any = encodec
        self.memory: Memory = {}
        self.waiting: Tensor | None = None

    @property
    def pending(self) -> int:
        """Samples that no code covers yet: a code is made when the last sample of its hop has come."""
        return 0 if self.waiting is None else self.waiting.shape[-1]

    @torch.no_grad()
    def push(self, waveform: Float[Tensor, "batch 1 samples"]) -> Int[Tensor, "batch levels frames"]:
        """Codes of the hops that these samples complete, as `encode` gives them for the whole sound."""
        samples = waveform if self.waiting is None else torch.cat([self.waiting, waveform], dim=-1)
        hop, levels = self.encodec.config.hop_length, self.encodec.config.num_quantizers
        ready = samples.shape[-1] // hop * hop
        self.waiting = samples[..., ready:].clone()
        if not ready:
            return torch.zeros(len(samples), levels, 0, dtype=torch.long, device=samples.device)
        latents = advance(self.encodec.encoder.layers, samples[..., :ready], self.memory)
        return self.encodec.quantizer.encode(latents).transpose(0, 1)


class AudioDecoderStream:
    """Sound whose codes come in parts of any length.

    Raises:
        ValueError: if the codec is not causal.
    """

    def __init__(self, encodec: nn.Module):
        _check_streamable(encodec)
        self.encodec: Any = encodec
        self.memory: Memory = {}

    @torch.no_grad()
    def push(self, codes: Int[Tensor, "batch levels frames"]) -> Float[Tensor, "batch 1 samples"]:
        """The samples of these codes, hop_length of each, as `decode` gives them for the whole sound."""
        if not codes.shape[-1]:
            return torch.zeros(len(codes), 1, 0, dtype=self.encodec.dtype, device=codes.device)
        latents = self.encodec.quantizer.decode(codes.transpose(0, 1))
        return advance(self.encodec.decoder.layers, latents, self.memory)


def advance(
    layers: Iterable[nn.Module], activations: Float[Tensor, "batch channels length"], memory: Memory
) -> Float[Tensor, "batch new_channels new_length"]:
    """One part of a sound through layers in a row, which remember what they need for the next part.

    Args:
        layers: of an EncodecModel's encoder or decoder.
        activations: for the encoder a whole number of hops.
        memory: of the parts before; is brought up to date.
    """
    for layer in layers:
        activations = _advance_layer(layer, activations, memory)
    return activations


def _advance_layer(layer: Any, activations: Tensor, memory: Memory) -> Tensor:
    from transformers.models.encodec import modeling_encodec as encodec

    if isinstance(layer, encodec.EncodecConv1d):
        return _convolve(layer, activations, memory)
    if isinstance(layer, encodec.EncodecConvTranspose1d):
        return _upsample(layer, activations, memory)
    if isinstance(layer, encodec.EncodecLSTM):
        return _recur(layer, activations, memory)
    if isinstance(layer, encodec.EncodecResnetBlock):
        skipped = _advance_layer(layer.shortcut, activations, memory)
        return skipped + advance(layer.block, activations, memory)
    assert isinstance(layer, nn.ELU | nn.Identity), f"{type(layer).__name__} may look over time"
    return layer(activations)


def _convolve(layer: Any, activations: Tensor, memory: Memory) -> Tensor:
    """A causal convolution, strided and dilated, with the inputs before this part in place of zeros."""
    past = memory.get(layer)
    if past is None:
        past = activations.new_zeros(*activations.shape[:2], int(layer.padding_total))
    activations = torch.cat([past, activations], dim=-1)
    memory[layer] = activations[..., activations.shape[-1] - past.shape[-1] :].clone()
    return layer.conv(activations)


def _upsample(layer: Any, activations: Tensor, memory: Memory) -> Tensor:
    """A transposed convolution that gives only the outputs to which no later input adds.

    The bias is added when an output is complete: the part that waits would get it twice.
    """
    conv = layer.conv
    sums = nn.functional.conv_transpose1d(activations, conv.weight, stride=conv.stride)
    if (overlap := memory.get(layer)) is not None:
        sums = torch.cat([sums[..., : overlap.shape[-1]] + overlap, sums[..., overlap.shape[-1] :]], dim=-1)
    complete = activations.shape[-1] * conv.stride[0]
    memory[layer] = sums[..., complete:].clone()
    return sums[..., :complete] + conv.bias[:, None]


def _recur(layer: Any, activations: Tensor, memory: Memory) -> Tensor:
    """An LSTM over time, added to what goes in."""
    steps = activations.permute(2, 0, 1)
    before = memory.get(layer)
    outputs, states = layer.lstm(steps, None if before is None else tuple(before))
    memory[layer] = torch.stack(states)
    return (outputs + steps).permute(1, 2, 0)


def _check_streamable(encodec: nn.Module) -> None:
    if obstacles := _obstacles(encodec):
        wanted = ", ".join(f"{name} {value!r}" for name, value in _CAUSAL.items())
        raise ValueError(f"the codec has {obstacles} and cannot be streamed; expected {wanted}")


def _obstacles(encodec: Any) -> str:
    """The settings that keep a codec from being causal, in words; empty if none do."""
    found = {name: getattr(encodec.config, name) for name in _CAUSAL}
    return ", ".join(f"{name} {value!r}" for name, value in found.items() if value != _CAUSAL[name])
