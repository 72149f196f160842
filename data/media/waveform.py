"""Waveforms as tensors and as .wav files."""

import wave
from collections.abc import Iterable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

_FULL_SCALE = 2**15


def fit_length(
    waveform: Float[Tensor, "*channels samples"], num_samples: int
) -> Float[Tensor, "*channels num_samples"]:
    """The waveform cut, or filled with silence at its end."""
    cut = waveform[..., :num_samples]
    return torch.nn.functional.pad(cut, (0, num_samples - cut.shape[-1]))


def place(
    pieces: Iterable[tuple[int, Float[Tensor, "channels _"]]], channels: int, num_samples: int
) -> Float[Tensor, "channels num_samples"]:
    """Silence with each piece at its position; what reaches outside is cut off."""
    waveform = torch.zeros(channels, num_samples)
    for position, piece in pieces:
        piece = piece[:, max(0, -position) : max(0, num_samples - position)]
        first = max(0, position)
        waveform[:, first : first + piece.shape[1]] = piece
    return waveform


def write_wav(waveform: Float[Tensor, "channels samples"], sample_rate: int, path: Path) -> None:
    """16-bit PCM; samples outside [-1, 1] are cut off."""
    scaled = (waveform * _FULL_SCALE).round().clamp(-_FULL_SCALE, _FULL_SCALE - 1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(waveform.shape[0])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(scaled.to(torch.int16).T.contiguous().numpy().astype("<i2").tobytes())
