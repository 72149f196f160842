"""Statistics of a sound's log-mel spectrum: features of sounds without trained weights.

The distance of these features is comparable within this project only and is no FAD: it is called `fad_mel`
everywhere.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ...tokenizers.audio.losses import magnitudes, mel_filterbank

SAMPLE_RATE = 16000
WINDOW, MELS = 1024, 64
_SILENCE = 1e-3  # of a full-scale sine; what is softer counts as silence


def mel_statistics(waveform: Float[Tensor, "1 samples"]) -> Float[Tensor, " 192"]:
    """Mean, deviation and mean change in time of each of 64 log-mel bands of a sound at 16 kHz."""
    filters = mel_filterbank(WINDOW, MELS, SAMPLE_RATE).to(waveform.device)
    mels = torch.log(filters @ magnitudes(waveform[None], WINDOW)[0] + _SILENCE)
    change = mels.diff(dim=1).abs().mean(1) if mels.shape[1] > 1 else torch.zeros(MELS)
    return torch.cat([mels.mean(1), mels.std(1, correction=0), change.to(mels)])
