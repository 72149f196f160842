"""What a codec is compared with at its bit rate: mu-law samples, and itself with random codebooks."""

from collections.abc import Sequence
from math import log1p

import torch
from jaxtyping import Float
from torch import Tensor

from ..tokenizers.audio.codec import AudioTokenizer
from .metrics.sound_quality import si_sdr

_MOST_BITS = 8


def best_mu_law(
    sounds: list[Tensor], sample_rate: int, bits_per_second: float
) -> tuple[tuple[int, int], list[Tensor]]:
    """Bits a sample, samples a second, and the sounds, of the depth whose SI-SDR is best.

    At each depth there are as many samples a second as the bit rate allows, at most as the sound has itself.
    """
    best: tuple[float, tuple[int, int], list[Tensor]] | None = None
    for bits in range(1, _MOST_BITS + 1):
        low_rate = min(sample_rate, int(bits_per_second / bits))
        if not low_rate:
            break
        coded = [_at_rate(sound, sample_rate, low_rate, bits) for sound in sounds]
        pairs = [(one, sound) for one, sound in zip(coded, sounds, strict=True) if sound.any()]
        quality = sum(float(si_sdr(one[None], sound[None])) for one, sound in pairs)
        if best is None or quality > best[0]:
            best = quality, (bits, low_rate), coded
    if best is None:
        raise ValueError(f"the codec has {bits_per_second:g} bits per second; expected at least 1")
    return best[1:]


def _at_rate(sound: Tensor, sample_rate: int, low_rate: int, bits: int) -> Tensor:
    num_samples = max(1, sound.shape[1] * low_rate // sample_rate)
    return _stretched(mu_law(_stretched(sound, num_samples), bits), sound.shape[1])


def _stretched(sound: Float[Tensor, "1 samples"], num_samples: int) -> Float[Tensor, "1 num_samples"]:
    """The sound in another number of samples, by its Fourier series.

    FFmpeg's resampler gives nothing for the few samples that a second may have here.
    """
    spectrum = torch.fft.rfft(sound)[:, : num_samples // 2 + 1]
    return torch.fft.irfft(spectrum, num_samples) * (num_samples / sound.shape[1])


def random_codebooks(codec: AudioTokenizer, sounds: list[Tensor], seed: int) -> list[Tensor]:
    latents = [codec.latents(sound[None])[0].cpu() for sound in sounds]
    generator = torch.Generator().manual_seed(seed)
    quantized = randomly_quantized(torch.cat(latents), codec.codebook_sizes, generator)
    parts = quantized.split([len(each) for each in latents])
    return [codec.synthesize(part[None].to(sounds[0].device))[0].cpu() for part in parts]


def mu_law(sound: Float[Tensor, "1 samples"], bits: int) -> Float[Tensor, "1 samples"]:
    """Samples rounded to 2 ** bits values that lie the closer, the softer they are.

    The companding of ITU-T G.711, whose 8 bits have mu = 255, continuous; with mu = 2 ** bits - 1.
    """
    values = 2**bits
    scale = log1p(values - 1)
    compressed = sound.sign() * torch.log1p((values - 1) * sound.abs()) / scale
    index = ((compressed + 1) * values / 2).floor().clamp(0, values - 1)
    centre = (2 * index + 1) / values - 1
    return centre.sign() * torch.expm1(centre.abs() * scale) / (values - 1)


def randomly_quantized(
    latents: Float[Tensor, "frames dim"], codebook_sizes: Sequence[int], generator: torch.Generator
) -> Float[Tensor, "frames dim"]:
    """Latents as the sum of the nearest entries of random codebooks, one for each level.

    A codebook's entries are drawn channel by channel from the normal distribution with the mean and
    deviation of what the levels before have left over.
    """
    residual = latents
    for size in codebook_sizes:
        drawn = torch.randn(size, latents.shape[1], generator=generator)
        entries = residual.mean(0) + residual.std(0, correction=0) * drawn
        residual = residual - entries[torch.cdist(residual, entries).argmin(1)]
    return latents - residual
