"""Recognise the shape in the masks of a clip: all shapes are fitted; one must fit best in every frame."""

from typing import NamedTuple

import numpy as np

from .certainty import certainty
from .pose_fitting import Masks, Poses, fit_shape
from .scene import SHAPES


class ShapeReading(NamedTuple):
    """The likeliest shape, its confidence and poses, and how sure it is that there is one crisp object."""

    shape: str
    confidence: float
    poses: Poses
    whole: float


def read_shape(masks: Masks) -> ShapeReading:
    """The one shape that all masks show. Every mask must hold an object."""
    fits = [fit_shape(shape, masks) for shape in SHAPES]
    misfits = np.array([fit.misfit for fit in fits])
    overall = misfits.mean(1)
    winner, runner_up = overall.argsort()[:2]
    poses = fits[winner]
    lowest = misfits.min(0)
    # In a soft picture another shape may fit a frame a little better by chance, but not much better.
    bearable = misfits[winner] < 1.3 * lowest + 0.005
    plainly_other = (lowest < 0.05) & (lowest < 0.4 * misfits[winner])
    whole = min(
        certainty(overall[winner], 0.4, 0.1),
        certainty(np.median(poses.softness / poses.radius), 0.22, 0.11),
        certainty(plainly_other.mean(), 0.4, 0.1),
    )
    confidence = min(
        whole,
        certainty(overall[winner], 0.2, 0.04),
        certainty(overall[winner] / overall[runner_up], 0.95, 0.75),
        certainty(bearable.mean(), 0.5, 0.9),
    )
    return ShapeReading(SHAPES[winner], confidence, poses, whole)
