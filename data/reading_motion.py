"""Which motion a track of poses shows.

A track is turned into four columns of lengths (right, down, larger, turned), scaled such that each says how
far the object's points move on average. A motion explains a part of one column; the best must explain most of
all four.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .certainty import certainty
from .pose_fitting import Poses
from .reading_camera import Camera
from .rendering import PERIODS, RESTITUTION

FEWEST_FRAMES = 4
LINEAR_MOTIONS = (("left", "right"), ("up", "down"), ("shrink", "grow"), ("spin", "spin"))
DOWN = 1
IMPACTS_TRIED, LEAST_HALF_GRAVITY = 33, 0.15
NOISE = 0.004  # of a column, in units of the shorter side

Column = Float[np.ndarray, " frames"]


class MotionReading(NamedTuple):
    """The likeliest motion, its confidence, how sure it is that one object moves at all smoothly, and the
    time at which it touches the floor, if it bounces."""

    motion: str
    confidence: float
    coherent: float
    impact: float | None


def read_motion(shape: str, poses: Poses, camera: Camera, time: Column) -> MotionReading:
    """The motion of a track; `time` runs from 0 to 1 over the clip."""
    columns = _columns(shape, poses, camera, time)
    spreads = np.array([_spread(column) for column in columns])
    slopes, errors = np.array([_line(time, column) for column in columns]).T
    motions = [pair[int(slope > 0)] for pair, slope in zip(LINEAR_MOTIONS, slopes, strict=True)]
    impact = None
    bounce = _bounce(time, columns[DOWN])
    if bounce is not None:
        motions[DOWN], (errors[DOWN], impact) = "bounce", bounce
    main = int(np.argmax(spreads - errors))
    share = (spreads[main] - errors[main]) / (spreads.sum() + len(time) * NOISE**2)
    # A steady drift in the other columns may be a camera that was not recognised: no harm while it is small.
    left_over = np.sqrt(errors.sum() / len(time))
    # A bounce has more to bend than the others, so it must fit better.
    most_left_over = 0.04 if motions[main] == "bounce" else 0.06
    explains = min(certainty(share, 0.6, 0.95), certainty(left_over, most_left_over, 0.01))
    coherent = max(explains, certainty(left_over, 0.04, 0.0))
    confidence = min(explains, certainty(np.ptp(columns[main]), 0.01, 0.05))
    return MotionReading(motions[main], confidence, coherent, impact if motions[main] == "bounce" else None)


def _columns(shape: str, poses: Poses, camera: Camera, time: Column) -> tuple[Column, Column, Column, Column]:
    """The object's own movement, with the camera's taken off."""
    zoom = np.exp(camera.zoom * (time - 0.5))
    right = (poses.centre[:, 0] - camera.shift * (time - 0.5)) / zoom
    down = poses.centre[:, 1] / zoom
    radius = poses.radius / zoom
    # A point of a disc of radius r moves by r / sqrt(2) in the mean square when the disc turns by one radian.
    reach = np.median(radius) / np.sqrt(2)
    turned = np.zeros_like(time) if shape == "circle" else np.unwrap(poses.angle, period=PERIODS[shape])
    return right, down, reach * np.log(radius), reach * turned


def _bounce(time: Column, down: Column) -> tuple[float, float] | None:
    """Squared error and impact of a free fall that turns into a slower rise, if the column shows that.

    Up to the impact the height is a parabola; there the speed v becomes -RESTITUTION v and gravity stays. For
    a given impact that is linear in its three unknowns. A short window may show only the fall or the rise.
    """
    best = 0.3 * _line(time, down)[1]
    found = None
    for impact in np.linspace(time[0], time[-1], IMPACTS_TRIED):
        kick = (1 + RESTITUTION) * np.maximum(time - impact, 0)
        design = np.stack([np.ones_like(time), time - kick, time**2 - 2 * impact * kick], axis=1)
        solution, *_ = np.linalg.lstsq(design, down, rcond=None)
        _, speed, half_gravity = solution
        error = _squared(down - design @ solution)
        if error < best and half_gravity > LEAST_HALF_GRAVITY and speed + 2 * half_gravity * impact > 0:
            best, found = error, (error, float(impact))
    return found


def _spread(column: Column) -> float:
    return _squared(column - column.mean())


def _line(time: Column, column: Column) -> tuple[float, float]:
    """Slope of the best straight line and its squared error."""
    slope, start = np.polyfit(time, column, 1)
    return float(slope), _squared(column - start - slope * time)


def _squared(column: Column) -> float:
    return float((column**2).sum())
