"""Fit a shape to masks: its place, size, angle and softness in every frame, by least squares.

The fitted picture is the renderer's own signed distance seen through a soft edge, so a blurred shape is
compared with equally blurred ones. Pixels outside the frame do not exist for the fit: an object partly out of
view is still placed right. Of the frame only a window is looked at, as large as the object needs.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from .rendering import DISTANCES, PERIODS, grid

SOLID = 0.4  # share of the object in a pixel from which the pixel counts for its rough place and size
TRACE = 0.2  # share from which a pixel is sure to be looked at
ANGLES_TRIED, STEPS = 8, 10
MOST_STEP = 0.25
LEAST_GAIN = 1e-2  # of the squared error, by which a step is worth another

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


class _Window(NamedTuple):
    """What the fit looks at in each frame, and the squared error that it can do nothing about outside."""

    masks: Masks
    columns: Float[np.ndarray, "frames 1 width"]
    rows: Float[np.ndarray, "frames height 1"]
    outside: PerFrame


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
    short = min(masks.shape[1:])
    window = _window(masks)
    parameters = _start(shape, window, short)
    linear = _linearise(shape, window, parameters, short)
    damping = np.full(len(masks), 1e-2)
    for _ in range(STEPS):
        candidate = _step(parameters, linear, damping, smallest=1 / short)
        trial = _linearise(shape, window, candidate, short)
        gain = linear.squared - trial.squared
        settled = np.abs(gain) < LEAST_GAIN * linear.squared
        better = gain > 0
        damping *= np.where(better, 0.3, 10)
        parameters[better] = candidate[better]
        for old, new in zip(linear, trial, strict=True):
            old[better] = new[better]
        if settled.all():
            break
    x, y, log_radius, angle, log_softness = parameters.T
    misfit = (linear.squared + window.outside) / (masks**2).sum((1, 2))
    return Poses(np.stack([x, y], axis=1), np.exp(log_radius), angle, np.exp(log_softness), misfit)


def _window(masks: Masks) -> _Window:
    """The smallest windows of one size, a margin of half their size included, that hold all traces."""
    places = [_span(np.asarray((masks > TRACE).any(axis))) for axis in (1, 2)]
    (left, width), (top, height) = places
    columns, rows = grid(*masks.shape[1:])
    across, down = left[:, None] + np.arange(width), top[:, None] + np.arange(height)
    seen = masks[np.arange(len(masks))[:, None, None], down[:, :, None], across[:, None, :]]
    outside = (masks**2).sum((1, 2)) - (seen**2).sum((1, 2))
    return _Window(seen, columns[across][:, None, :], rows[down][:, :, None], outside)


def _span(traces: Bool[np.ndarray, "frames length"]) -> tuple[Int[np.ndarray, " frames"], int]:
    """Where windows begin, and their common length, along one side of the frames."""
    length = traces.shape[1]
    first, last = traces.argmax(1), length - 1 - traces[:, ::-1].argmax(1)
    wanted = min(length, 3 * int((last - first + 1).max()) // 2)
    return np.clip((first + last + 1 - wanted) // 2, 0, length - wanted), wanted


def _start(shape: str, window: _Window, short: int) -> Parameters:
    """Centre of mass, radius from the area, and the best of a few angles."""
    solid = np.where(window.masks > SOLID, window.masks, 0)
    total = solid.sum((1, 2))
    parameters = np.zeros((len(solid), 5))
    parameters[:, 0] = (solid * window.columns).sum((1, 2)) / total
    parameters[:, 1] = (solid * window.rows).sum((1, 2)) / total
    parameters[:, 2] = 0.5 * np.log(total / short**2 / 3)  # 3: about the area at radius 1
    parameters[:, 4] = np.log(0.02)
    if shape == "circle":
        return parameters
    errors = []
    angles = np.arange(ANGLES_TRIED) * PERIODS[shape] / ANGLES_TRIED
    for angle in angles:
        parameters[:, 3] = angle
        picture = _edge(_distance(shape, window, parameters)[0], parameters)
        errors.append(((window.masks - picture) ** 2).sum((1, 2)))
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


def _distance(shape: str, window: _Window, parameters: Parameters) -> tuple[Masks, np.ndarray, np.ndarray]:
    """Signed distance of every pixel, and its place relative to the centre, in units of the shorter side."""
    x, y, log_radius, angle, _ = parameters.astype(np.float32).T[:, :, None, None]
    right, down = window.columns - x, window.rows - y
    radius = np.exp(log_radius)
    cos, sin = np.cos(angle) / radius, np.sin(angle) / radius
    return DISTANCES[shape](cos * right + sin * down, cos * down - sin * right) * radius, right, down


def _edge(distance: Masks, parameters: Parameters) -> Masks:
    """A logistic edge, close to what a box or a Gaussian makes of a straight one."""
    softness = np.exp(parameters[:, 4]).astype(np.float32)[:, None, None]
    return 0.5 - 0.5 * np.tanh(distance / (2 * softness))


def _linearise(shape: str, window: _Window, parameters: Parameters, short: int) -> _Linear:
    distance, right, down = _distance(shape, window, parameters)
    picture = _edge(distance, parameters)
    by_distance = -picture * (1 - picture) / np.exp(parameters[:, 4]).astype(np.float32)[:, None, None]
    down_slope, right_slope = np.gradient(distance, 1 / short, axis=(1, 2))
    by_x, by_y = by_distance * right_slope, by_distance * down_slope
    slopes = np.stack(
        [-by_x, -by_y, -right * by_x - down * by_y, down * by_x - right * by_y, -by_distance * distance],
        axis=1,
    )
    error = window.masks - picture
    frames = len(error)
    return _Linear((error**2).sum((1, 2)), error.reshape(frames, -1), slopes.reshape(frames, 5, -1))
