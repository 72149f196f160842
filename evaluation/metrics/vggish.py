"""VGGish, the network whose embeddings of sound FAD compares, and its preprocessing.

Hershey et al. 2017, arXiv:1609.09430; FAD is Kilgour et al. 2019, arXiv:1812.08466. Names and shapes of the
weights are those of its PyTorch port (`vggish-10086976.pth`), 72 million parameters. The embedding is taken
before the last ReLU and before the PCA that AudioSet applies, as in the authors' score.

Protocol: mono at 16 kHz; 64 mels from 125 to 7500 Hz of windows of 25 ms every 10 ms; log(mel + 0.01);
examples of 96 windows (0.96 s) side by side. A sound shorter than one example is filled with silence.
"""

from math import log1p

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from ...data.media.waveform import fit_length

SAMPLE_RATE = 16000
_WINDOW, _HOP, _FFT = 400, 160, 512
_MELS, _LOW, _HIGH = 64, 125.0, 7500.0
_EXAMPLE = 96


class VGGish(nn.Module):
    """Embeddings of 128 numbers of log-mel examples."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for block in ((64,), (128,), (256, 256), (512, 512)):
            for width in block:
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 128)
        )

    def forward(self, examples: Float[Tensor, "examples 96 64"]) -> Float[Tensor, "examples 128"]:
        features = self.features(examples[:, None])
        # TensorFlow, where the weights come from, has the channels last.
        return self.embeddings(rearrange(features, "n c time mel -> n (time mel c)"))


def log_mel_examples(waveform: Float[Tensor, "1 samples"]) -> Float[Tensor, "examples 96 64"]:
    """The input of VGGish for a sound in [-1, 1] at 16 kHz."""
    least = (_EXAMPLE - 1) * _HOP + _WINDOW
    padded = fit_length(waveform, max(least, waveform.shape[1]))
    windows = padded[0].unfold(0, _WINDOW, _HOP) * torch.hann_window(_WINDOW, device=waveform.device)
    magnitudes = torch.fft.rfft(windows, _FFT).abs()
    mels = torch.log(magnitudes @ _mel_matrix().to(waveform.device) + 0.01)
    whole = len(mels) // _EXAMPLE * _EXAMPLE
    return rearrange(mels[:whole], "(examples time) mel -> examples time mel", time=_EXAMPLE)


def _mel_matrix() -> Float[Tensor, "frequencies 64"]:
    """Triangles on the mel scale 1127 ln(1 + f / 700), of height 1; the constant part is left out."""
    frequencies = _mel(torch.linspace(0, SAMPLE_RATE / 2, _FFT // 2 + 1))
    low, high = 1127 * log1p(_LOW / 700), 1127 * log1p(_HIGH / 700)
    edges = torch.linspace(low, high, _MELS + 2)
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    matrix = torch.minimum(rising, falling).clamp(min=0)
    matrix[0] = 0
    return matrix


def _mel(frequency: Tensor) -> Tensor:
    return 1127 * torch.log1p(frequency / 700)
