"""Measures of frames without a network: cuts, motion, sharpness, a perceptual hash that finds duplicates."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

# At a cut the histograms of neighbouring frames differ by more than this share of the pixels, and by more
# than this factor times the mean of so many frames around it.
_CUT, _CUT_FACTOR, _AROUND = 0.35, 3.0, 4
_BINS = 16


@dataclass(frozen=True)
class ShotMeasures:
    """Measures of one shot.

    Args:
        motion: mean difference between neighbouring frames, in grey levels of 255.
        sharpness: standard deviation of the Laplacian of grey levels, over all frames.
        fingerprint: 64 bits of which near-duplicates share all but a few.
    """

    motion: float
    sharpness: float
    fingerprint: int


def find_cuts(frames: UInt8[Tensor, "frames height width 3"]) -> list[int]:
    """Numbers of the frames that begin a new shot; the first frame is none of them.

    A cut changes the histogram of colours at once, and more than motion does before and after it. Fades are
    not found.
    """
    if len(frames) < 2:
        return []
    shares = torch.stack([_histogram(frame) for frame in frames])
    change = (shares[1:] - shares[:-1]).abs().sum(dim=(1, 2)) / (2 * 3)
    cuts = []
    for index, value in enumerate(change.tolist()):
        around = change[max(0, index - _AROUND) : index + _AROUND + 1]
        usual = (around.sum().item() - value) / max(len(around) - 1, 1)
        if value > _CUT and value > _CUT_FACTOR * usual:
            cuts.append(index + 1)
    return cuts


def measure_shot(frames: UInt8[Tensor, "frames height width 3"]) -> ShotMeasures:
    """Measures of the frames of one shot, at least 3x3 pixels."""
    grey = frames.float().mean(dim=-1)
    motion = (grey[1:] - grey[:-1]).abs().mean().item() if len(grey) > 1 else 0.0
    inner = grey[:, 1:-1, 1:-1]
    neighbours = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return ShotMeasures(motion, (neighbours - 4 * inner).std().item(), _fingerprint(grey))


def hamming_distance(one: int, other: int) -> int:
    """Number of bits in which two fingerprints differ."""
    return (one ^ other).bit_count()


def _histogram(frame: UInt8[Tensor, "height width 3"]) -> Float[Tensor, "3 bins"]:
    levels = (frame.reshape(-1, 3).long() * _BINS) // 256
    counts = torch.stack([torch.bincount(channel, minlength=_BINS) for channel in levels.T])
    return counts / len(levels)


def _fingerprint(grey: Float[Tensor, "frames height width"]) -> int:
    """Difference hash of the mean picture: is each of 8x8 places brighter than its right neighbour?"""
    small = torch.nn.functional.adaptive_avg_pool2d(grey.mean(dim=0)[None], (8, 9))[0]
    bits = (small[:, 1:] > small[:, :-1]).flatten().tolist()
    return sum(1 << place for place, bit in enumerate(bits) if bit)
