"""Quantizers of a video tokenizer behind one interface: LFQ, and BSQ and FSQ for comparison.

    encoder -> normalised -> latents -> quantize -> decoder
                                 \\-> codes -> values -> decoder

`quantize(latents)` has the values of `values(codes(latents))`, with gradients to the latents.
"""

from math import prod

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from .causal_conv import FrameNorm
from .config import VideoTokenizerConfig
from .lfq import codes_from_latents, commitment, entropies, latents_from_codes, quantize
from .protocol import bit_factors

Penalties = dict[str, Float[Tensor, ""]]


class Quantizer(nn.Module):
    """What a quantizer offers.

    Attributes:
        codebook_size: codes are in [0, codebook_size).
        factors: sizes of the low and the high half of a code, whose product is codebook_size.
    """

    codebook_size: int
    factors: tuple[int, ...]

    def normalised(
        self, encoded: Float[Tensor, "batch t h w channels"]
    ) -> Float[Tensor, "batch t h w channels"]:
        """Latents, in float32, as the other methods take them, from what the encoder gave."""
        raise NotImplementedError

    def codes(self, latents: Float[Tensor, "*grid channels"]) -> Int[Tensor, "*grid"]:
        raise NotImplementedError

    def values(self, codes: Int[Tensor, "*grid"]) -> Float[Tensor, "*grid channels"]:
        """What a code stands for: the decoder's input."""
        raise NotImplementedError

    def quantize(self, latents: Float[Tensor, "*grid channels"]) -> Float[Tensor, "*grid channels"]:
        """Values of the codes of latents; gradients reach the latents."""
        raise NotImplementedError

    def penalties(self, latents: Float[Tensor, "*grid channels"], temperature: float) -> Penalties:
        """Losses on the latents, by name: `commitment`, `sample_entropy` and `batch_entropy`, if any."""
        return {}


class LookupFree(Quantizer):
    """The signs of the latents (see `lfq`), after a norm of each frame without parameters.

    Without a norm few codes come into use (Yu et al.'s first author, vector-quantize-pytorch pull request
    89).
    """

    def __init__(self, bits: int):
        super().__init__()
        self.bits = bits
        self.codebook_size = 2**bits
        self.factors = bit_factors(self.codebook_size)
        self.norm = FrameNorm(bits, affine=False)

    def normalised(
        self, encoded: Float[Tensor, "batch t h w channels"]
    ) -> Float[Tensor, "batch t h w channels"]:
        return self.norm(encoded.float())

    def codes(self, latents: Float[Tensor, "*grid channels"]) -> Int[Tensor, "*grid"]:
        return codes_from_latents(latents)

    def values(self, codes: Int[Tensor, "*grid"]) -> Float[Tensor, "*grid channels"]:
        return latents_from_codes(codes, self.bits)

    def quantize(self, latents: Float[Tensor, "*grid channels"]) -> Float[Tensor, "*grid channels"]:
        return quantize(latents)

    def penalties(self, latents: Float[Tensor, "*grid channels"], temperature: float) -> Penalties:
        sample_entropy, batch_entropy = entropies(latents, temperature)
        return {
            "commitment": commitment(latents),
            "sample_entropy": sample_entropy,
            "batch_entropy": batch_entropy,
        }


class BinarySpherical(LookupFree):
    """The nearest corner of a cube inscribed in the unit sphere (BSQ; Zhao et al. 2024, arXiv:2406.07548).

    Signs of latents of length 1, times 1 / sqrt(bits). vector-quantize-pytorch has it as
    LFQ(spherical=True), whose entropies hold every code for every latent; these are the exact ones of `lfq`.
    """

    def normalised(
        self, encoded: Float[Tensor, "batch t h w channels"]
    ) -> Float[Tensor, "batch t h w channels"]:
        return F.normalize(encoded.float(), dim=-1)

    def values(self, codes: Int[Tensor, "*grid"]) -> Float[Tensor, "*grid channels"]:
        return super().values(codes) * self.bits**-0.5

    def quantize(self, latents: Float[Tensor, "*grid channels"]) -> Float[Tensor, "*grid channels"]:
        corners = self.values(self.codes(latents))
        return latents + (corners - latents).detach()

    def penalties(self, latents: Float[Tensor, "*grid channels"], temperature: float) -> Penalties:
        # |u - c / sqrt(bits)|^2 differs from |u / sqrt(bits) - c|^2 by what is the same for every c.
        sample_entropy, batch_entropy = entropies(latents * self.bits**-0.5, temperature)
        corners = self.values(self.codes(latents))
        return {
            "commitment": F.mse_loss(latents, corners),
            "sample_entropy": sample_entropy,
            "batch_entropy": batch_entropy,
        }


class FiniteScalar(Quantizer):
    """A few levels for each channel (FSQ; Mentzer et al. 2023, arXiv:2309.15505): needs no penalty."""

    def __init__(self, levels: tuple[int, ...]):
        super().__init__()
        from vector_quantize_pytorch import FSQ

        self.fsq = FSQ(levels=list(levels), return_indices=False)
        half = len(levels) // 2
        self.factors = (prod(levels[:half]), prod(levels[half:])) if half else levels
        self.codebook_size = prod(levels)
        self.norm = FrameNorm(len(levels), affine=False)

    def normalised(
        self, encoded: Float[Tensor, "batch t h w channels"]
    ) -> Float[Tensor, "batch t h w channels"]:
        return self.norm(encoded.float())

    def codes(self, latents: Float[Tensor, "*grid channels"]) -> Int[Tensor, "*grid"]:
        return self.fsq.codes_to_indices(self.fsq.quantize(latents)).long()

    def values(self, codes: Int[Tensor, "*grid"]) -> Float[Tensor, "*grid channels"]:
        flat = self.fsq.indices_to_codes(codes.reshape(1, -1))
        return flat.reshape(*codes.shape, -1).float()

    def quantize(self, latents: Float[Tensor, "*grid channels"]) -> Float[Tensor, "*grid channels"]:
        return self.fsq.quantize(latents)


def build_quantizer(config: VideoTokenizerConfig) -> Quantizer:
    if config.quantizer == "fsq":
        return FiniteScalar(config.levels)
    return {"lfq": LookupFree, "bsq": BinarySpherical}[config.quantizer](config.bits)
