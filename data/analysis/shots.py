"""Measures of frames without a network: cuts, motion, sharpness, a perceptual hash that finds duplicates.

All of them take frames one after the other, so that films of any length need the same memory.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import sqrt

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

Frame = UInt8[Tensor, "height width 3"]

# At a cut the histograms of neighbouring frames differ by more than this share of the pixels, and by more
# than this factor times the mean change around it: of so many eighths of a second to each side, which is
# comparable whatever the rate, the largest change of each.
_CUT, _CUT_FACTOR, _AROUND, _PERIOD = 0.35, 3.0, 4, 1 / 8
_BINS = 16
# Seconds that a flash lasts at most: two changes of which the second takes the first one back.
_FLASH = 0.15
_AHEAD = (_AROUND + 0.5) * _PERIOD + _FLASH


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


def find_cuts(frames: UInt8[Tensor, "frames height width 3"], fps: float = 8.0) -> list[int]:
    """Numbers of the frames that begin a new shot; the first frame is none of them."""
    marked = mark_cuts((number / fps, frame) for number, frame in enumerate(frames))
    return [number for number, (_, _, is_cut) in enumerate(marked) if is_cut]


@dataclass(frozen=True, eq=False)
class _Seen:
    """A frame, its histogram, and the share of pixels in which that differs from the one before."""

    time: float
    frame: Tensor
    histogram: Tensor
    change: float


def mark_cuts(frames: Iterable[tuple[float, Frame]]) -> Iterator[tuple[float, Frame, bool]]:
    """Frames and their times, and whether they begin a new shot; the first frame does not.

    A cut changes the histogram of colours at once, and more than motion does before and after it. Fades are
    not found, and a flash is no cut. Frames come out as soon as all that can speak against a cut is known,
    0.7 seconds later.
    """
    seen, undecided = deque[_Seen](), 0
    for time, frame in frames:
        histogram = _histogram(frame)
        change = _difference(seen[-1].histogram, histogram) if seen else 0.0
        seen.append(_Seen(time, frame, histogram, change))
        while seen[undecided].time + _AHEAD < time:
            yield seen[undecided].time, seen[undecided].frame, _is_cut(seen, undecided)
            undecided += 1
        while undecided > 1 and seen[1].time < seen[undecided].time - _AHEAD:
            seen.popleft()
            undecided -= 1
    for number in range(undecided, len(seen)):
        yield seen[number].time, seen[number].frame, _is_cut(seen, number)


def _is_cut(seen: Sequence[_Seen], number: int) -> bool:
    own = seen[number]
    if own.change <= _CUT:
        return False
    largest: dict[int, float] = {}
    for each in islice(seen, 1, None):
        period = round((each.time - own.time) / _PERIOD)
        if 0 < abs(period) <= _AROUND:
            largest[period] = max(largest.get(period, 0.0), each.change)
    if own.change <= _CUT_FACTOR * sum(largest.values()) / max(len(largest), 1):
        return False
    others = (other for other in range(1, len(seen)) if other != number)
    return not any(_is_flash(seen, *sorted((number, other))) for other in others)


def _is_flash(seen: Sequence[_Seen], first: int, last: int) -> bool:
    """Whether something is seen from one frame to another, and before and after it the same."""
    if seen[last].time - seen[first].time > _FLASH or min(seen[first].change, seen[last].change) <= _CUT:
        return False
    return _difference(seen[first - 1].histogram, seen[last].histogram) <= _CUT


class ShotMeter:
    """The measures of a shot from its frames, at least 3x3 pixels, one after the other."""

    def __init__(self) -> None:
        self.count = 0
        self.moved, self.last = 0.0, torch.empty(0)
        self.edges = self.squared_edges = 0.0
        self.total = torch.empty(0)

    def add(self, frame: Frame) -> None:
        grey = frame.float().mean(dim=-1)
        if self.count:
            self.moved += (grey - self.last).abs().mean(dtype=torch.float64).item()
        self.total = self.total + grey if self.count else grey.double()
        self.last, self.count = grey, self.count + 1
        inner = grey[1:-1, 1:-1]
        neighbours = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
        edges = (neighbours - 4 * inner).double()
        self.edges += edges.mean().item()
        self.squared_edges += edges.square().mean().item()

    def measures(self) -> ShotMeasures:
        """Of all frames so far, at least one."""
        motion = self.moved / (self.count - 1) if self.count > 1 else 0.0
        variance = self.squared_edges / self.count - (self.edges / self.count) ** 2
        mean = (self.total / self.count).float()
        return ShotMeasures(motion, sqrt(max(variance, 0.0)), _fingerprint(mean))


def measure_shot(frames: UInt8[Tensor, "frames height width 3"]) -> ShotMeasures:
    """Measures of the frames of one shot, at least 3x3 pixels."""
    meter = ShotMeter()
    for frame in frames:
        meter.add(frame)
    return meter.measures()


def hamming_distance(one: int, other: int) -> int:
    """Number of bits in which two fingerprints differ."""
    return (one ^ other).bit_count()


def _histogram(frame: Frame) -> Float[Tensor, " bins"]:
    """The share of the pixels at each level of each channel, shared out between the two nearest levels.

    So a flat picture that grows brighter changes little by little, not all at once from level to level.
    """
    levels = frame.reshape(-1, 3).float() * (_BINS / 256)
    lower = levels.long()
    upper_share = levels - lower
    places = (lower + torch.arange(3) * (_BINS + 1)).flatten()
    counts = torch.bincount(places, (1 - upper_share).flatten(), 3 * (_BINS + 1))
    counts += torch.bincount(places + 1, upper_share.flatten(), 3 * (_BINS + 1))
    return counts / len(levels)


def _difference(one: Float[Tensor, " bins"], other: Float[Tensor, " bins"]) -> float:
    """The share of the pixels by which two histograms differ, 0 to 1."""
    return (one - other).abs().sum().item() / (2 * 3)


def _fingerprint(grey: Float[Tensor, "height width"]) -> int:
    """Difference hash of the mean picture: is each of 8x8 places brighter than its right neighbour?"""
    small = torch.nn.functional.adaptive_avg_pool2d(grey[None], (8, 9))[0]
    bits = (small[:, 1:] > small[:, :-1]).flatten().tolist()
    return sum(1 << place for place, bit in enumerate(bits) if bit)
