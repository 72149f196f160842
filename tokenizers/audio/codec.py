"""The audio codec: sound <-> a few codes per latent.

EnCodec's architecture (Défossez et al. 2022, arXiv:2210.13438, section 3): a convolutional encoder, a
residual vector quantizer and a mirrored decoder, as transformers' `EncodecModel`. At 16 kHz and a hop of
320 samples there are 50 latents a second; four levels of 1024 codes are VideoPoet's shape (Kondratyuk et
al. 2024, arXiv:2312.14125, section 3.1). A folder on disk is a plain EncodecModel folder, so any library
that reads those reads ours, and any mono EnCodec folder can take our codec's place.
"""

import math
from dataclasses import dataclass, fields
from math import prod
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...data.runtime.pretrained import fingerprint
from .protocol import check_hops
from .stream import AudioDecoderStream, AudioEncoderStream
from .transformers_folder import encodec_bandwidth, read_codec, reduced, write_codec
from .unit_gain import start_at_unit_gain

# What decides, beside the weights, which codes a waveform gets. Named one by one: the stored config also
# holds versions and paths, which say nothing about the codes.
_SETTINGS = (
    "sampling_rate", "audio_channels", "normalize", "hidden_size", "num_filters", "num_residual_layers",
    "upsampling_ratios", "norm_type", "kernel_size", "last_kernel_size", "residual_kernel_size",
    "dilation_growth_rate", "use_causal_conv", "pad_mode", "compress", "num_lstm_layers",
    "trim_right_ratio", "codebook_size", "use_conv_shortcut",
)  # fmt: skip


@dataclass(frozen=True)
class AudioTokenizerConfig:
    """Sizes of a codec to be trained.

    Args:
        sample_rate: samples per second, one channel.
        ratios: strides of the decoder; their product is the hop, samples per latent.
        num_filters: channels at the full rate; they double at each stride.
        hidden_size: channels of a latent and of a codebook entry.
        num_levels: codebooks, each coding what the ones before left over.
        codebook_size: entries of each codebook, a power of two.
        num_residual_layers: residual blocks before each stride; none makes a fast, plain codec.
        num_lstm_layers: recurrent layers over the latents; EnCodec always has at least one.
    """

    sample_rate: int = 16_000
    ratios: tuple[int, ...] = (8, 5, 4, 2)
    num_filters: int = 8
    hidden_size: int = 32
    num_levels: int = 2
    codebook_size: int = 256
    num_residual_layers: int = 1
    num_lstm_layers: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            least = {"num_residual_layers": 0, "num_filters": 2}.get(field.name, 1)
            if field.name != "ratios" and getattr(self, field.name) < least:
                raise ValueError(f"{field.name} is {getattr(self, field.name)}; expected at least {least}")
        if not self.ratios or min(self.ratios) < 1:
            raise ValueError(f"ratios are {self.ratios}; expected strides of at least 1")
        if self.codebook_size < 2 or self.codebook_size & (self.codebook_size - 1):
            raise ValueError(f"codebook_size is {self.codebook_size}; expected a power of two, such as 256")

    @property
    def hop_length(self) -> int:
        return prod(self.ratios)


class AudioTokenizer(nn.Module):
    """Waveforms to codes and back, through a mono EncodecModel that codes samples as they are.

    A fresh one has empty codebooks (all codes are 0) until `tokenizers/audio/lightning_module.py` fills them.

    Raises:
        ValueError: if the codec is stereo, scales its input or cuts it into chunks: its codes would not
            hold all that decoding needs.
    """

    def __init__(self, encodec: nn.Module):
        super().__init__()
        config: Any = encodec.config
        if config.audio_channels != 1:
            raise ValueError(f"the codec has {config.audio_channels} channels; expected a mono EnCodec")
        if config.normalize or config.chunk_length_s is not None:
            raise ValueError("the codec scales or cuts its input; expected no normalize, no chunk_length_s")
        self.encodec: Any = encodec

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self, self.encodec)

    @classmethod
    def of_config(cls, config: AudioTokenizerConfig) -> "AudioTokenizer":
        """A codec with random weights, ready to be trained."""
        from transformers import EncodecModel

        encodec = EncodecModel(_encodec_config(config))
        start_at_unit_gain(encodec)
        return cls(encodec)

    @property
    def sample_rate(self) -> int:
        return self.encodec.config.sampling_rate

    @property
    def hop_length(self) -> int:
        """Samples per latent."""
        return self.encodec.config.hop_length

    @property
    def num_levels(self) -> int:
        return self.encodec.config.num_quantizers

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each level."""
        return (self.encodec.config.codebook_size,) * self.num_levels

    @property
    def fingerprint(self) -> str:
        config = self.encodec.config.to_dict()
        return fingerprint({name: config[name] for name in _SETTINGS}, self.encodec.state_dict())

    @torch.no_grad()
    def encode(self, waveform: Float[Tensor, "batch 1 samples"]) -> Int[Tensor, "batch levels frames"]:
        """Codes of a sound: frames = samples / hop_length.

        Codes of a beginning never change when samples are added, if the codec is causal as ours is.

        Args:
            waveform: samples in [-1, 1] at `sample_rate`.

        Raises:
            ValueError: if the samples are not a whole number of hops.
        """
        check_hops(waveform.shape[-1], self.hop_length)
        every_level = self.encodec.config.target_bandwidths[-1]
        (codes,) = self.encodec.encode(waveform, bandwidth=every_level).audio_codes
        return codes

    @torch.no_grad()
    def decode(self, codes: Int[Tensor, "batch levels frames"]) -> Float[Tensor, "batch 1 samples"]:
        """Sound of codes: samples = frames * hop_length.

        With fewer than `num_levels` levels (the first ones) the sound is coarser.
        """
        return self.encodec.decode([codes], [None]).audio_values

    def latents(self, waveform: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch frames dim"]:
        """What the codebooks quantize; errors as `encode`."""
        check_hops(waveform.shape[-1], self.hop_length)
        return rearrange(self.encodec.encoder(waveform), "batch dim frames -> batch frames dim")

    def synthesize(self, latents: Float[Tensor, "batch frames dim"]) -> Float[Tensor, "batch 1 samples"]:
        """Sound of quantized latents."""
        return self.encodec.decoder(rearrange(latents, "batch frames dim -> batch dim frames"))

    def encoder_stream(self) -> AudioEncoderStream:
        """For a sound that comes in parts; a codec that is not causal is a ValueError."""
        return AudioEncoderStream(self.encodec)

    def decoder_stream(self) -> AudioDecoderStream:
        """For codes that come in parts; a codec that is not causal is a ValueError."""
        return AudioDecoderStream(self.encodec)

    @torch.no_grad()
    def set_codebooks(self, codebooks: Float[Tensor, "levels codes dim"]) -> None:
        """Put trained entries into the quantizer."""
        for layer, entries in zip(self.encodec.quantizer.layers, codebooks, strict=True):
            layer.codebook.embed.copy_(entries)
            layer.codebook.embed_avg.copy_(entries)
            layer.codebook.cluster_size.fill_(1)
            layer.codebook.inited.fill_(1)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write an EncodecModel folder: config.json and model.safetensors."""
        write_codec(self.encodec, folder)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "AudioTokenizer":
        """Load an EncodecModel folder, ours or another's, in evaluation mode.

        Raises:
            FileNotFoundError: if the folder or a file in it is missing.
            ValueError: if it holds another kind of model or weights that do not fit.
        """
        return cls(read_codec(folder, "encodec"))


def _encodec_config(config: AudioTokenizerConfig) -> Any:
    """Our sizes as transformers names them, with the choices that keep the codec causal.

    Padding is with zeros: EnCodec's default, "reflect", mirrors the first samples into the past, by which
    the first latents hear several latents ahead. Weights are normalised, not activations: the other norm on
    offer takes statistics over time.
    """
    from transformers import EncodecConfig

    bits = int(math.log2(config.codebook_size))
    latents_per_second = math.ceil(config.sample_rate / config.hop_length)
    return EncodecConfig(
        sampling_rate=config.sample_rate,
        audio_channels=1,
        normalize=False,
        chunk_length_s=None,
        target_bandwidths=[encodec_bandwidth(config.num_levels, bits, latents_per_second)],
        upsampling_ratios=list(config.ratios),
        num_filters=config.num_filters,
        hidden_size=config.hidden_size,
        num_residual_layers=config.num_residual_layers,
        num_lstm_layers=config.num_lstm_layers,
        codebook_size=config.codebook_size,
        use_causal_conv=True,
        pad_mode="constant",
        norm_type="weight_norm",
    )
