"""The join of two windows of a long video: their sounds are crossfaded, and the join is measured.

    earlier  ─────────────────────╲
    later            ╱─────────────────────     the fade ends where the earlier sound ends
                     |  overlap   |
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

FADE_SECONDS = 0.02
AROUND_SECONDS = 0.1  # on either side of a join, for comparison
_USUAL = 0.99  # quantile of the changes around that counts as usual

Sound = Float[Tensor, "channels samples"]


@dataclass(frozen=True)
class SoundJoin:
    """How two sounds fit.

    Args:
        shift: samples by which the later one was moved to the left to be in phase.
        agreement: correlation of the two over the fade: 1 is the same wave in phase, 0 unrelated waves.
        level_db: loudness after the fade over that before; None next to silence.
        step: the largest change from one sample to the next in the fade, in units of the usual one around
            it; None in silence.
    """

    shift: int
    agreement: float
    level_db: float | None
    step: float | None


@dataclass(frozen=True)
class PictureJoin:
    """How the first new frame fits: mean change of a pixel from the frame before, in levels of 255.

    Args:
        change: at the join.
        usual: mean of the changes between the other frames of the window.
    """

    change: float
    usual: float


def join_sounds(
    earlier: Float[Tensor, "channels before"],
    later: Float[Tensor, "channels after"],
    overlap: int,
    sample_rate: int,
    most_shift: int = 0,
) -> tuple[Float[Tensor, "channels joined"], SoundJoin]:
    """One sound of two, of which the later begins `overlap` samples before the end of the earlier.

    Args:
        most_shift: samples by which the later may be moved, either way, so that both are in phase: a tone
            that was generated anew begins anywhere in its period.

    Raises:
        ValueError: if the sounds do not overlap, or the later one ends first.
    """
    if not 2 <= overlap <= min(earlier.shape[1], later.shape[1] - 1):
        raise ValueError(
            f"sounds of {earlier.shape[1]} and {later.shape[1]} samples cannot overlap by {overlap}"
        )
    fade = max(min(round(FADE_SECONDS * sample_rate), overlap // 2), 1)
    begin, place = earlier.shape[1] - fade, overlap - fade
    most_shift = min(most_shift, place, later.shape[1] - overlap)
    shift, agreement = _best_shift(earlier[:, begin:], later, place, most_shift)
    new = later[:, place + shift :]
    rising = (torch.arange(fade) + 0.5) / fade
    faded = earlier[:, begin:] * (1 - rising) + new[:, :fade] * rising
    joined = torch.cat([earlier[:, :begin], faded, new[:, fade:]], dim=1)
    return joined, SoundJoin(shift, agreement, *_measured(joined, begin, begin + fade, sample_rate))


def picture_join(frames: UInt8[Tensor, "frames height width 3"], given: int) -> PictureJoin:
    """How a window's first generated frame fits to the last given one."""
    changes = frames.float().diff(dim=0).abs().mean((1, 2, 3))
    others = torch.cat([changes[: given - 1], changes[given:]])
    return PictureJoin(float(changes[given - 1]), float(others.mean()) if len(others) else 0.0)


def _best_shift(
    held: Float[Tensor, "channels fade"], later: Sound, place: int, most_shift: int
) -> tuple[int, float]:
    """The shift at which the later sound is most like what is held, and the correlation there.

    Of shifts that fit equally well it is the smallest: of a tone there is one in every period.
    """
    fade = held.shape[1]
    pieces = later[:, place - most_shift : place + most_shift + fade].unfold(1, fade, 1)
    products = (pieces * held[:, None]).sum((0, 2))
    norms = pieces.square().sum((0, 2)).sqrt() * held.square().sum().sqrt()
    correlations = torch.where(norms > 0, products / norms.clamp_min(1e-12), 0.0)
    shifts = torch.arange(-most_shift, most_shift + 1)
    best = int((correlations - 1e-3 * shifts.abs() / max(most_shift, 1)).argmax())
    return int(shifts[best]), float(correlations[best])


def _measured(joined: Sound, begin: int, end: int, sample_rate: int) -> tuple[float | None, float | None]:
    """Level and step of a `SoundJoin` whose fade goes from sample `begin` to `end`."""
    around = round(AROUND_SECONDS * sample_rate)
    before, after = joined[:, max(begin - around, 0) : begin], joined[:, end : end + around]
    levels = [float(piece.square().mean()) if piece.numel() else 0.0 for piece in (before, after)]
    ratio = torch.tensor(levels[1]) / torch.tensor(levels[0]) if min(levels) > 0 else None
    level_db = None if ratio is None else float(10 * ratio.log10())
    nearby = torch.cat([before.diff().abs().flatten(), after.diff().abs().flatten()])
    usual = float(nearby.quantile(_USUAL)) if len(nearby) else 0.0
    within = joined[:, max(begin - 1, 0) : end + 1].diff().abs()
    return level_db, float(within.max()) / usual if usual > 0 else None
