"""Fit a shape to masks: its place, size, angle and softness in every frame, by least squares.

The fitted picture is the renderer's own signed distance seen through a soft edge, so a blurred shape is
compared with equally blurred ones. Pixels outside the frame do not exist for the fit: an object partly out of
view is still placed right.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from .rendering import DISTANCES, PERIODS, grid

SOLID = 0.4  # share of the object in a pixel from which the pixel counts for its rough place and size
ANGLES_TRIED, STEPS = 8, 10
MOST_STEP = 0.25

Masks = Float[np.ndarray, "frames height width"]
PerFrame = Float[np.ndarray, " frames"]
# Columns: centre right, centre down, log radius, angle, log softness.
Parameters = Float[np.ndarray, "frames 5"]


class Poses(NamedTuple):
    """One shape fitted to every frame; lengths in units of the frame's shorter side.

    Args:
        softness: scale of the logistic function that the edge follows.
        misfit: squared error as a share of the mask's own sum of squares.
    """

    centre: Float[np.ndarray, "frames 2"]
    radius: PerFrame
    angle: PerFrame
    softness: PerFrame
    misfit: PerFrame


class _Linear(NamedTuple):
    """The error of a fit, and how it changes with each parameter."""

    squared: PerFrame
    error: Float[np.ndarray, "frames pixels"]
    slopes: Float[np.ndarray, "frames 5 pixels"]


def holds_object(masks: Masks, least_area: float) -> Bool[np.ndarray, " frames"]:
    """Frames in which the object covers at least this much of the square over the shorter side."""
    return (masks > SOLID).sum((1, 2)) > least_area * min(masks.shape[1:]) ** 2


def fit_shape(shape: str, masks: Masks) -> Poses:
    """The best pose in every frame by damped Gauss-Newton steps; every mask must hold an object."""
    parameters = _start(shape, masks)
    linear = _linearise(shape, masks, parameters)
    damping = np.full(len(masks), 1e-2)
    for _ in range(STEPS):
        candidate = _step(parameters, linear, damping, smallest=1 / min(masks.shape[1:]))
        trial = _linearise(shape, masks, candidate)
        better = trial.squared < linear.squared
        damping *= np.where(better, 0.3, 10)
        parameters[better] = candidate[better]
        for old, new in zip(linear, trial, strict=True):
            old[better] = new[better]
    x, y, log_radius, angle, log_softness = parameters.T
    misfit = linear.squared / (masks**2).sum((1, 2))
    return Poses(np.stack([x, y], axis=1), np.exp(log_radius), angle, np.exp(log_softness), misfit)


def _start(shape: str, masks: Masks) -> Parameters:
    """Centre of mass, radius from the area, and the best of a few angles."""
    height, width = masks.shape[1:]
    columns, rows = grid(height, width)
    solid = np.where(masks > SOLID, masks, 0)
    total = solid.sum((1, 2))
    parameters = np.zeros((len(masks), 5))
    parameters[:, 0] = (solid * columns).sum((1, 2)) / total
    parameters[:, 1] = (solid * rows[:, None]).sum((1, 2)) / total
    parameters[:, 2] = 0.5 * np.log(total / min(height, width) ** 2 / 3)  # 3: about the area at radius 1
    parameters[:, 4] = np.log(0.02)
    if shape == "circle":
        return parameters
    errors = []
    angles = np.arange(ANGLES_TRIED) * PERIODS[shape] / ANGLES_TRIED
    for angle in angles:
        parameters[:, 3] = angle
        picture = _edge(_distance(shape, masks, parameters)[0], parameters)
        errors.append(((masks - picture) ** 2).sum((1, 2)))
    parameters[:, 3] = angles[np.argmin(errors, axis=0)]
    return parameters


def _step(parameters: Parameters, linear: _Linear, damping: PerFrame, smallest: float) -> Parameters:
    """The next parameters to try: what a linear model wants, in small steps, inside sensible bounds."""
    curvature = linear.slopes @ linear.slopes.transpose(0, 2, 1)
    gradient = linear.slopes @ linear.error[..., None]
    ridge = damping[:, None, None] * curvature * np.eye(5) + 1e-4 * np.eye(5)
    step = np.linalg.solve(curvature + ridge, gradient)[..., 0]
    candidate = parameters + np.clip(step, -MOST_STEP, MOST_STEP)
    candidate[:, 2] = np.clip(candidate[:, 2], np.log(1.5 * smallest), 0)
    candidate[:, 4] = np.clip(candidate[:, 4], np.log(0.15 * smallest), np.log(0.3))
    return candidate


def _distance(shape: str, masks: Masks, parameters: Parameters) -> tuple[Masks, np.ndarray, np.ndarray]:
    """Signed distance of every pixel, and its place relative to the centre, in units of the shorter side."""
    columns, rows = grid(*masks.shape[1:])
    x, y, log_radius, angle, _ = parameters.astype(np.float32).T[:, :, None, None]
    right, down = columns - x, rows[:, None] - y
    radius = np.exp(log_radius)
    cos, sin = np.cos(angle) / radius, np.sin(angle) / radius
    return DISTANCES[shape](cos * right + sin * down, cos * down - sin * right) * radius, right, down


def _edge(distance: Masks, parameters: Parameters) -> Masks:
    """A logistic edge, close to what a box or a Gaussian makes of a straight one."""
    softness = np.exp(parameters[:, 4]).astype(np.float32)[:, None, None]
    return 0.5 - 0.5 * np.tanh(distance / (2 * softness))


def _linearise(shape: str, masks: Masks, parameters: Parameters) -> _Linear:
    distance, right, down = _distance(shape, masks, parameters)
    picture = _edge(distance, parameters)
    by_distance = -picture * (1 - picture) / np.exp(parameters[:, 4]).astype(np.float32)[:, None, None]
    down_slope, right_slope = np.gradient(distance, 1 / min(masks.shape[1:]), axis=(1, 2))
    by_x, by_y = by_distance * right_slope, by_distance * down_slope
    slopes = np.stack(
        [-by_x, -by_y, -right * by_x - down * by_y, down * by_x - right * by_y, -by_distance * distance],
        axis=1,
    )
    error = masks - picture
    return _Linear((error**2).sum((1, 2)), error.reshape(len(masks), -1), slopes.reshape(len(masks), 5, -1))
