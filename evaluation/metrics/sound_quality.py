"""How near a decoded sound is to the real one: SI-SDR, and distances of its spectra.

All take sounds of equal length in [-1, 1], and compare each sound of a batch by itself.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ...tokenizers.audio.losses import magnitudes, mel_filterbank

_STFT_WINDOWS = (512, 1024, 2048)
_MEL_WINDOW, _NUM_MELS = 1024, 64
SILENCE = 1e-3  # of a full-scale sine; magnitudes below these -60 dB must not outweigh what can be heard


def sound_quality(
    decoded: Float[Tensor, "1 samples"], real: Float[Tensor, "1 samples"], sample_rate: int
) -> dict[str, float | None]:
    """si_sdr_db (more is better), stft and log_mel_db (less is better) of one sound.

    The first two compare with the loudness of the real sound; where that is silent they are None.
    """
    is_audible = bool(real.any())
    one, other = decoded[None], real[None]
    return {
        "si_sdr_db": float(si_sdr(one, other)) if is_audible else None,
        "stft": float(stft_distance(one, other)) if is_audible else None,
        "log_mel_db": float(log_mel_distance(one, other, sample_rate)),
    }


def si_sdr(
    decoded: Float[Tensor, "batch 1 samples"], real: Float[Tensor, "batch 1 samples"]
) -> Float[Tensor, " batch"]:
    """Scale-invariant signal-to-distortion ratio in dB, of sounds that are not silent.

    Le Roux et al. 2019, "SDR – half-baked or well done?", arXiv:1811.02508, section 3.
    """
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

    return scale_invariant_signal_distortion_ratio(decoded, real).flatten()


def stft_distance(
    decoded: Float[Tensor, "batch 1 samples"], real: Float[Tensor, "batch 1 samples"]
) -> Float[Tensor, " batch"]:
    """Multi-resolution STFT distance of sounds that are not silent: 0 for equal ones.

    Mean over three resolutions of spectral convergence and the mean distance of log magnitudes (Yamamoto
    et al. 2020, arXiv:1910.11480). Windows are as long as the transform and a quarter of it apart, and
    what is below -60 dB counts as silence; the paper's are shorter, and its logarithms have no floor.
    """
    distances = []
    for window in _STFT_WINDOWS:
        ours, theirs = magnitudes(decoded, window), magnitudes(real, window)
        convergence = (ours - theirs).flatten(1).norm(dim=1) / theirs.flatten(1).norm(dim=1)
        log_distance = (torch.log(ours + SILENCE) - torch.log(theirs + SILENCE)).abs().mean((1, 2))
        distances.append(convergence + log_distance)
    return torch.stack(distances).mean(0)


def log_mel_distance(
    decoded: Float[Tensor, "batch 1 samples"], real: Float[Tensor, "batch 1 samples"], sample_rate: int
) -> Float[Tensor, " batch"]:
    """Mean distance in dB of mel spectrograms, 64 bands, windows of 1024 samples; below -60 dB is silence."""
    filters = mel_filterbank(_MEL_WINDOW, _NUM_MELS, sample_rate).to(real.device)
    ours, theirs = (
        20 * torch.log10(filters @ magnitudes(sound, _MEL_WINDOW) + SILENCE) for sound in (decoded, real)
    )
    return (ours - theirs).abs().mean((1, 2))
