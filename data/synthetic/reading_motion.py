"""Recognise the motion of an object from its poses over time.

A track is turned into four columns of lengths (right, down, larger, turned), scaled such that each says how
far the object's points move on average. A motion explains a part of one column; the best must explain most of
all four.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .certainty import certainty
from .pose_fitting import Poses
from .reading_bounce import read_bounce
from .reading_camera import Camera
from .rendering import PERIODS

FEWEST_FRAMES = 4
LINEAR_MOTIONS = (("left", "right"), ("up", "down"), ("shrink", "grow"), ("spin", "spin"))
DOWN = 1
BENT = 0.3  # share of a straight line's error that a bounce may leave
NOISE = 0.004  # of a column, in units of the shorter side

Column = Float[np.ndarray, " frames"]


class MotionReading(NamedTuple):
    """The likeliest motion, its confidence, how sure it is that one object moves at all smoothly, and the
    times at which it touches the floor, if it bounces."""

    motion: str
    confidence: float
    coherent: float
    impacts: tuple[float, ...]


def read_motion(shape: str, poses: Poses, camera: Camera, time: Column) -> MotionReading:
    """The motion of a track; `time` runs from 0 to 1 over the clip."""
    columns = _columns(shape, poses, camera, time)
    spreads = np.array([_spread(column) for column in columns])
    slopes, errors = np.array([_line(time, column) for column in columns]).T
    motions = [pair[int(slope > 0)] for pair, slope in zip(LINEAR_MOTIONS, slopes, strict=True)]
    bounce = read_bounce(time, columns[DOWN])
    impacts = ()
    if bounce is not None and bounce.error < BENT * errors[DOWN]:
        motions[DOWN], (errors[DOWN], impacts) = "bounce", bounce
    main = int(np.argmax(spreads - errors))
    share = (spreads[main] - errors[main]) / (spreads.sum() + len(time) * NOISE**2)
    # A steady drift in the other columns may be a camera that was not recognised: no harm while it is small.
    left_over = np.sqrt(errors.sum() / len(time))
    # A bounce has more to bend than the others, so it must fit better.
    most_left_over = 0.04 if motions[main] == "bounce" else 0.06
    explains = min(certainty(share, 0.6, 0.95), certainty(left_over, most_left_over, 0.01))
    coherent = max(explains, certainty(left_over, 0.04, 0.0))
    confidence = min(explains, certainty(np.ptp(columns[main]), 0.01, 0.05))
    return MotionReading(motions[main], confidence, coherent, impacts if motions[main] == "bounce" else ())


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


def _spread(column: Column) -> float:
    return _squared(column - column.mean())


def _line(time: Column, column: Column) -> tuple[float, float]:
    """Slope of the best straight line and its squared error."""
    slope, start = np.polyfit(time, column, 1)
    return float(slope), _squared(column - start - slope * time)


def _squared(column: Column) -> float:
    return float((column**2).sum())
