"""The Descript audio codec in the place of ours: transformers' `DacModel` behind `AudioCodec`.

Kumar et al. 2023 (arXiv:2306.06546): a convolutional codec whose residual levels look their codes up in a
few dimensions, by direction. The released 16 kHz model has hops of 320 samples and 12 levels of 1024 codes;
its first four levels have VideoPoet's exact shape (Kondratyuk et al. 2024, arXiv:2312.14125, section 3.1).

Its convolutions look ahead: the last codes of a beginning change when sound is added.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..data.pretrained import fingerprint
from .audio_protocol import check_hops, check_levels
from .protocol import check_codes
from .transformers_folder import read_codec, write_codec

# What decides, beside the weights, which codes a waveform gets. Named one by one: the stored config also
# holds versions and paths, which say nothing about the codes.
_SETTINGS = (
    "sampling_rate", "encoder_hidden_size", "downsampling_ratios", "decoder_hidden_size", "n_codebooks",
    "codebook_size", "codebook_dim",
)  # fmt: skip


class DacTokenizer(nn.Module):
    """Waveforms to codes and back through a `DacModel`, which is put into evaluation mode.

    Whole hops come back as whole hops: where a stride is odd, transformers' transposed convolution gives a
    sample too few, and this one computes it.
    """

    def __init__(self, dac: nn.Module):
        super().__init__()
        self.dac: Any = dac
        for block in self.dac.decoder.block:
            block.conv_t1.output_padding = tuple(stride % 2 for stride in block.conv_t1.stride)
        self.eval()

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "DacTokenizer":
        """Load a folder of `DacModel.save_pretrained`.

        Raises:
            FileNotFoundError: if the folder or a file in it is missing.
            ValueError: if it holds another kind of model or weights that do not fit.
        """
        return cls(read_codec(folder, "dac"))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that plain transformers reads too."""
        write_codec(self.dac, folder)

    @property
    def sample_rate(self) -> int:
        return self.dac.config.sampling_rate

    @property
    def hop_length(self) -> int:
        """Samples per latent."""
        return self.dac.config.hop_length

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each level."""
        return (self.dac.config.codebook_size,) * self.dac.config.n_codebooks

    @property
    def fingerprint(self) -> str:
        config = self.dac.config.to_dict()
        return fingerprint({name: config[name] for name in _SETTINGS}, self.dac.state_dict())

    @torch.no_grad()
    def encode(self, waveform: Float[Tensor, "batch 1 samples"]) -> Int[Tensor, "batch levels frames"]:
        """Codes of a sound: frames = samples / hop_length.

        Args:
            waveform: samples in [-1, 1] at `sample_rate`.

        Raises:
            ValueError: if the samples are not a whole number of hops.
        """
        check_hops(waveform.shape[-1], self.hop_length)
        return self.dac.encode(waveform, return_dict=True).audio_codes

    @torch.no_grad()
    def decode(self, codes: Int[Tensor, "batch levels frames"]) -> Float[Tensor, "batch 1 samples"]:
        """Sound of codes: samples = frames * hop_length.

        With fewer levels than the codec has (the first ones) the sound is coarser.

        Raises:
            ValueError: if there are more levels, or a code is outside its codebook.
        """
        check_levels(codes, self.codebook_sizes)
        check_codes(codes, self.dac.config.codebook_size)
        return self.dac.decode(audio_codes=codes, return_dict=True).audio_values[:, None]
