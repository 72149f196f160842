"""The Descript audio codec in the place of ours: transformers' `DacModel` behind `AudioCodec`.

Kumar et al. 2023 (arXiv:2306.06546): a convolutional codec whose residual levels look their codes up in a
few dimensions, by direction. The released 16 kHz model has hops of 320 samples and 12 levels of 1024 codes;
its first four levels have VideoPoet's exact shape (Kondratyuk et al. 2024, arXiv:2312.14125, section 3.1).

Its convolutions look ahead: the last codes of a beginning change when sound is added.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..video.protocol import check_codes
from .protocol import check_hops, check_levels
from .transformers_folder import TransformersCodec


class DacTokenizer(TransformersCodec):
    """Waveforms to codes and back through a `DacModel`, which is put into evaluation mode.

    Whole hops come back as whole hops: where a stride is odd, transformers' transposed convolution gives a
    sample too few, and this one computes it.
    """

    kind = "dac"
    settings = (
        "sampling_rate", "encoder_hidden_size", "downsampling_ratios", "decoder_hidden_size", "n_codebooks",
        "codebook_size", "codebook_dim",
    )  # fmt: skip

    def __init__(self, dac: nn.Module):
        super().__init__(dac)
        for block in self.model.decoder.block:
            block.conv_t1.output_padding = tuple(stride % 2 for stride in block.conv_t1.stride)

    @property
    def hop_length(self) -> int:
        """Samples per latent."""
        return self.model.config.hop_length

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each level."""
        return (self.model.config.codebook_size,) * self.model.config.n_codebooks

    @torch.no_grad()
    def encode(self, waveform: Float[Tensor, "batch 1 samples"]) -> Int[Tensor, "batch levels frames"]:
        """Codes of a sound: frames = samples / hop_length.

        Args:
            waveform: samples in [-1, 1] at `sample_rate`.

        Raises:
            ValueError: if the samples are not a whole number of hops.
        """
        check_hops(waveform.shape[-1], self.hop_length)
        return self.model.encode(waveform, return_dict=True).audio_codes

    @torch.no_grad()
    def decode(self, codes: Int[Tensor, "batch levels frames"]) -> Float[Tensor, "batch 1 samples"]:
        """Sound of codes: samples = frames * hop_length.

        With fewer levels than the codec has (the first ones) the sound is coarser.

        Raises:
            ValueError: if there are more levels, or a code is outside its codebook.
        """
        check_levels(codes, self.codebook_sizes)
        check_codes(codes, self.model.config.codebook_size)
        return self.model.decode(audio_codes=codes, return_dict=True).audio_values[:, None]
