"""Spectral distances of two sounds, as losses and scores."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Magnitudes below this are silence: the logarithm of nothing must not outweigh what can be heard.
_FLOOR = 1e-3


class MultiScaleMelLoss(nn.Module):
    """Distance of mel spectrograms over windows of several lengths.

    For each window, the L1 distance of the log magnitudes plus that of the magnitudes themselves: long
    windows hear pitch, short ones hear when something happens. EnCodec sums L1 and L2 of the same
    spectrograms (Défossez et al. 2022, arXiv:2210.13438, section 3.4); the logarithm makes soft sounds count.
    """

    def __init__(self, sample_rate: int, windows: tuple[int, ...] = (128, 512, 2048), num_mels: int = 64):
        super().__init__()
        self.windows = windows
        for window in windows:
            # A short window resolves fewer frequencies than there are mels.
            mels = min(num_mels, window // 8)
            self.register_buffer(f"mel_{window}", mel_filterbank(window, mels, sample_rate), persistent=False)

    def forward(
        self, decoded: Float[Tensor, "batch 1 samples"], real: Float[Tensor, "batch 1 samples"]
    ) -> Float[Tensor, ""]:
        distances = [self._distance(decoded, real, window) for window in self.windows]
        return torch.stack(distances).mean()

    def _distance(
        self, decoded: Float[Tensor, "batch 1 samples"], real: Float[Tensor, "batch 1 samples"], window: int
    ) -> Float[Tensor, ""]:
        filters = getattr(self, f"mel_{window}")
        ours, theirs = filters @ magnitudes(decoded, window), filters @ magnitudes(real, window)
        log_distance = (torch.log(ours + _FLOOR) - torch.log(theirs + _FLOOR)).abs().mean()
        return log_distance + (ours - theirs).abs().mean()


def magnitudes(
    waveform: Float[Tensor, "batch 1 samples"], window: int
) -> Float[Tensor, "batch frequencies frames"]:
    """Magnitudes of the short-time Fourier transform, a quarter of a window apart; a full-scale sine gives 1.

    Squares are kept off zero, where the gradient of a magnitude is not defined.
    """
    hann = torch.hann_window(window, device=waveform.device)
    spectrum = torch.stft(
        waveform[:, 0], window, window // 4, window=hann, pad_mode="constant", return_complex=True
    )
    power = spectrum.real.square() + spectrum.imag.square()
    return (power * (2 / hann.sum()).square() + 1e-12).sqrt()


def mel_filterbank(window: int, num_mels: int, sample_rate: int) -> Float[Tensor, "mels frequencies"]:
    """Triangles of equal width on the mel scale, m = 2595 log10(1 + f / 700), up to half the sample rate.

    Each sums to 1, so that a filter gives the mean of the magnitudes under it.
    """
    frequencies = torch.linspace(0, sample_rate / 2, window // 2 + 1)
    top = 2595 * torch.log10(torch.tensor(1 + sample_rate / 2 / 700))
    edges = 700 * (10 ** (torch.linspace(0, 1, num_mels + 2) * top / 2595) - 1)
    # A triangle narrower than the distance of two frequencies would fall between them and hear nothing.
    width = edges.diff().clamp(min=sample_rate / window)
    rising = 1 - (edges[1:-1, None] - frequencies) / width[:-1, None]
    falling = 1 - (frequencies - edges[1:-1, None]) / width[1:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return triangles / triangles.sum(1, keepdim=True)


def log_spectral_distance(
    decoded: Float[Tensor, "batch 1 samples"], real: Float[Tensor, "batch 1 samples"], window: int = 512
) -> Float[Tensor, " batch"]:
    """Root mean square over frequencies of the difference in decibel, averaged over time.

    Everything below -60 dB counts as silence.
    """
    ours, theirs = (20 * torch.log10(magnitudes(sound, window) + _FLOOR) for sound in (decoded, real))
    return (ours - theirs).square().mean(1).sqrt().mean(1)
