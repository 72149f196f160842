"""Recognise the camera motion from the background of a clip.

Every camera of the embedded corpus is tried at many speeds: under the right one all frames, laid over each
other where the background is seen, are alike.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .certainty import certainty

PANS = torch.linspace(-0.24, 0.24, 17)  # of the shorter side over the whole clip
ZOOMS = torch.linspace(-0.36, 0.36, 17)  # logarithm of the ratio over the whole clip
SMALLEST_PAN, SMALLEST_ZOOM = 0.035, 0.06
FLAT = 12.0  # variance of brightness up to which a background shows nothing to go by
ROUNDING = 1.0  # variance that even a perfect match may have
LEAST_BACKGROUND = 0.1  # share of all pixels
MOST_FRAMES = 9


class Camera(NamedTuple):
    """Name, confidence, and how far the scene shifts right and is enlarged (logarithm) over the clip."""

    name: str
    confidence: float
    shift: float
    zoom: float


def read_camera(
    pictures: Float[np.ndarray, "frames height width 3"], seen: Bool[np.ndarray, "frames height width"]
) -> Camera:
    """The camera whose motion best explains the background; `seen` says where the background is."""
    chosen = np.unique(np.linspace(0, len(pictures) - 1, MOST_FRAMES).round().astype(int))
    time = torch.from_numpy(chosen / (len(pictures) - 1) - 0.5).float()
    bright = torch.from_numpy(pictures[chosen].mean(-1))[:, None]
    bright = torch.nn.functional.avg_pool2d(bright, 3, 1, 1, count_include_pad=False)
    # Background only where no part of the object reached the mean above, or rings around it.
    clear = 1 - torch.nn.functional.max_pool2d(torch.from_numpy(~seen[chosen]).float()[:, None], 5, 1, 2)
    if clear.mean() < LEAST_BACKGROUND:
        return Camera("still", 0.0, 0.0, 0.0)
    variance = float(bright[clear > 0].var(correction=0))
    if variance < FLAT:
        return Camera("still", 1.0, 0.0, 0.0)
    return _choose(*_disagreements(bright, clear, time), variance)


def _choose(pans: Float[np.ndarray, " pans"], zooms: Float[np.ndarray, " zooms"], variance: float) -> Camera:
    """The camera that leaves the least disagreement between frames."""
    still = pans[len(PANS) // 2]
    moves = [
        _best("pan left", pans, PANS, PANS > SMALLEST_PAN),
        _best("pan right", pans, PANS, PANS < -SMALLEST_PAN),
        _best("zoom in", zooms, ZOOMS, ZOOMS > SMALLEST_ZOOM),
        _best("zoom out", zooms, ZOOMS, ZOOMS < -SMALLEST_ZOOM),
    ]
    (error, name, amount), (runner_up, *_) = sorted(moves)[:2]
    if error < 0.5 * still:
        confidence = min(
            certainty(error / still, 0.75, 0.25),
            certainty(error / runner_up, 1.0, 0.6),
            certainty(error / variance, 0.5, 0.1),
        )
        is_pan = name.startswith("pan")
        return Camera(name, confidence, amount if is_pan else 0.0, 0.0 if is_pan else amount)
    # Frames either stay alike or show too little pattern for any of them to be a different place.
    alike = max(certainty(still / variance, 0.7, 0.3), certainty(variance, 60.0, 20.0))
    return Camera("still", min(certainty(error / still, 0.35, 1.0), alike), 0.0, 0.0)


def _best(name: str, errors: np.ndarray, amounts: Tensor, allowed: Tensor) -> tuple[float, str, float]:
    """(error, name, amount) of the best among the allowed amounts."""
    masked = np.where(allowed.numpy(), errors, np.inf)
    return float(masked.min()), name, float(amounts[int(masked.argmin())])


def _disagreements(
    bright: Float[Tensor, "frames 1 height width"],
    clear: Float[Tensor, "frames 1 height width"],
    time: Float[Tensor, " frames"],
) -> tuple[Float[np.ndarray, " pans"], Float[np.ndarray, " zooms"]]:
    """Variance over time of the background under every assumed camera."""
    shifts = torch.cat([PANS, torch.zeros_like(ZOOMS)])
    zooms = torch.cat([torch.zeros_like(PANS), ZOOMS])
    planes = torch.cat([bright, clear], dim=1)
    moved = _undo(planes, torch.outer(shifts, time), torch.outer(zooms, time).exp())
    value, weight = moved[:, :, 0], (moved[:, :, 1] > 0.99).float()
    count = weight.sum(1)
    mean = (value * weight).sum(1) / count.clamp(min=1)
    spread = (weight * (value - mean[:, None]).square()).sum((1, 2, 3))
    freedom = (count - 1).clamp(min=0).sum((1, 2)).clamp(min=1)
    errors = (spread / freedom + ROUNDING).numpy()
    return errors[: len(PANS)], errors[len(PANS) :]


def _undo(
    planes: Float[Tensor, "frames planes height width"],
    shift: Float[Tensor, "cameras frames"],
    scale: Float[Tensor, "cameras frames"],
) -> Float[Tensor, "cameras frames planes height width"]:
    """What would be seen, had the scene not been scaled and shifted."""
    height, width = planes.shape[-2:]
    columns = (torch.arange(width) + 0.5) * 2 / width - 1
    rows = (torch.arange(height) + 0.5) * 2 / height - 1
    grid = torch.empty(*shift.shape, height, width, 2)
    right = 2 * min(height, width) / width * shift
    grid[..., 0] = scale[..., None, None] * columns + right[..., None, None]
    grid[..., 1] = scale[..., None, None] * rows[:, None]
    repeated = planes.expand(len(shift), *planes.shape).flatten(0, 1)
    moved = torch.nn.functional.grid_sample(repeated, grid.flatten(0, 1), align_corners=False)
    return moved.unflatten(0, shift.shape)
