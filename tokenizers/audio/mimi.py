"""Mimi in the place of our audio codec: transformers' `MimiModel` behind `AudioCodec`.

Défossez et al. 2024 (arXiv:2410.00037), section 3.3: a causal convolutional codec with transformers around
its quantizer, at 24 kHz and 12.5 latents a second. Each level has 2048 codes. The first is semantic: it is
distilled from a speech model and carries the words. The others are residual and carry the sound. Moshi uses
the first eight.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...data.runtime.pretrained import fingerprint
from ..video.protocol import check_codes
from .protocol import check_hops, check_levels
from .transformers_folder import TransformersCodec


class MimiTokenizer(TransformersCodec):
    """Waveforms to codes and back through a mono `MimiModel`, which is put into evaluation mode.

    Raises:
        ValueError: if the model is stereo or has no encoder or no decoder.
    """

    kind = "mimi"
    settings = (
        "sampling_rate", "hidden_size", "num_filters", "num_residual_layers", "upsampling_ratios",
        "kernel_size", "last_kernel_size", "residual_kernel_size", "dilation_growth_rate", "use_causal_conv",
        "pad_mode", "compress", "trim_right_ratio", "codebook_size", "codebook_dim", "num_quantizers",
        "use_conv_shortcut", "vector_quantization_hidden_dimension", "num_semantic_quantizers",
        "upsample_groups", "num_hidden_layers", "intermediate_size", "num_attention_heads",
        "num_key_value_heads", "head_dim", "hidden_act", "norm_eps", "rope_parameters", "sliding_window",
        "attention_bias",
    )  # fmt: skip

    def __init__(self, mimi: nn.Module):
        super().__init__(mimi)
        config: Any = mimi.config
        if config.audio_channels != 1:
            raise ValueError(f"the codec has {config.audio_channels} channels; expected a mono Mimi")
        if config.encoder_config is None or config.decoder_config is None:
            raise ValueError("the codec is half a Mimi; expected an encoder and a decoder")

    @property
    def hop_length(self) -> int:
        """Samples per latent: the strides of the convolutions, and that from their latents to Mimi's."""
        return prod(self.model.config.upsampling_ratios) * self.model.config.latent_stride

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each level."""
        return (self.model.config.codebook_size,) * self.model.config.num_quantizers

    @property
    def fingerprint(self) -> str:
        config = self.model.config.to_dict()
        settings = {name: config[name] for name in self.settings} | {"hop_length": self.hop_length}
        return fingerprint(settings, self.model.state_dict())

    @torch.no_grad()
    def encode(self, waveform: Float[Tensor, "batch 1 samples"]) -> Int[Tensor, "batch levels frames"]:
        """Codes of a sound: frames = samples / hop_length.

        Codes of a beginning never change when samples are added.

        Args:
            waveform: samples in [-1, 1] at `sample_rate`.

        Raises:
            ValueError: if the samples are not a whole number of hops.
        """
        check_hops(waveform.shape[-1], self.hop_length)
        return self.model.encode(waveform, use_streaming=False, return_dict=True).audio_codes

    @torch.no_grad()
    def decode(self, codes: Int[Tensor, "batch levels frames"]) -> Float[Tensor, "batch 1 samples"]:
        """Sound of codes: samples = frames * hop_length.

        With fewer levels than the codec has (the first ones) the sound is coarser.

        Raises:
            ValueError: if there are more levels, or a code is outside its codebook.
        """
        check_levels(codes, self.codebook_sizes)
        check_codes(codes, self.model.config.codebook_size)
        return self.model.decode(codes, return_dict=True).audio_values

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "MimiTokenizer":
        """As of nn.Module, behind `to`.

        MimiModel keeps the entries of each codebook where they were first used, which `to` does not reach.
        """
        for module in self.model.modules():
            if hasattr(module, "_embed"):
                module._embed = None
        return super()._apply(fn, recurse)
