"""Fit a bounce to the height of an object over time: the times at which it touches the floor.

Two kinds of bounce are tried: a free fall that turns into a slower rise, and equal arcs one after the other.
Both have four unknowns; the impact, and the time of a fall in an arc, are searched for and the others follow
by least squares.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .rendering import RESTITUTION

LEAST_HALF_GRAVITY = 0.15
IMPACTS_TRIED, FALLS_TRIED = 33, 24
SHORTEST_FALL, LONGEST_FALL = 0.3, 1.3  # phases; half of a clip may be all that is seen
REFINEMENTS, TRIED_AGAIN = 3, 9

Column = Float[np.ndarray, " frames"]
Candidates = Float[np.ndarray, " candidates"]


class BounceReading(NamedTuple):
    """Squared error of the better kind of bounce, and the times of its impacts."""

    error: float
    impacts: tuple[float, ...]


def read_bounce(time: Column, down: Column) -> BounceReading | None:
    """The bounce that fits best, or None if nothing falls; a short window may show only a fall or a rise.

    An impact is in every reading: at the edge of the window, if it is not seen.
    """
    start, length = time[0], time[-1] - time[0]
    shares = np.linspace(0, 1, IMPACTS_TRIED)
    falls = np.linspace(np.log(SHORTEST_FALL), np.log(LONGEST_FALL), FALLS_TRIED)
    error, (impact,) = _search(partial(_fall_and_rise, time, down), [start + length * shares])
    lasting, (share, log_fall) = _search(partial(_arcs, time, down), [shares, falls])
    if not min(error, lasting) < np.inf:
        return None
    if error <= lasting:
        return BounceReading(error, (float(impact),))
    period = 2 * np.exp(log_fall)
    first = start + share * min(period, length)
    return BounceReading(lasting, tuple(np.arange(first, time[-1] + 1e-6, period).tolist()))


def _fall_and_rise(time: Column, down: Column, impact: Candidates) -> Candidates:
    """Errors of a free fall to the impact, where the speed v becomes -RESTITUTION v and gravity stays."""
    impact = impact[:, None]
    kick = (1 + RESTITUTION) * np.maximum(time - impact, 0)
    error, unknowns = _least_squares(np.stack([time - kick, time**2 - 2 * impact * kick], axis=-1), down)
    speed, half_gravity = unknowns.T
    falls = (half_gravity > LEAST_HALF_GRAVITY) & (speed + 2 * half_gravity * impact[:, 0] > 0)
    return np.where(falls, error, np.inf)


def _arcs(time: Column, down: Column, share: Candidates, log_fall: Candidates) -> Candidates:
    """Errors of equal arcs, of which the first impact lies at a share of where it can."""
    fall = np.exp(log_fall)
    first = time[0] + share * np.minimum(2 * fall, time[-1] - time[0])
    since = (time - first[:, None]) % (2 * fall[:, None])
    # The lower, the longer from the top of the arc: half of gravity is all that is unknown beside the floor.
    error, unknowns = _least_squares((since - fall[:, None])[..., None] ** 2, down)
    return np.where(unknowns[:, 0] > LEAST_HALF_GRAVITY, error, np.inf)


def _least_squares(
    terms: Float[np.ndarray, "candidates frames unknowns"], column: Column
) -> tuple[Candidates, Float[np.ndarray, "candidates unknowns"]]:
    """Squared error and best unknowns of every candidate; a constant is always among the terms."""
    terms, column = terms - terms.mean(1, keepdims=True), column - column.mean()
    transposed = terms.transpose(0, 2, 1)
    ridge = 1e-9 * np.eye(terms.shape[-1])
    unknowns = np.linalg.solve(transposed @ terms + ridge, (transposed @ column)[..., None])
    return ((column - (terms @ unknowns)[..., 0]) ** 2).sum(1), unknowns[..., 0]


def _search(
    errors_of: Callable[..., Candidates], axes: Sequence[np.ndarray]
) -> tuple[float, Float[np.ndarray, " searched"]]:
    """The least error on a grid of evenly spaced values, and where: the grid is then refined there."""
    bounds = [(axis[0], axis[-1]) for axis in axes]
    steps = [axis[1] - axis[0] for axis in axes]
    least, best = _least_on_grid(errors_of, axes)
    for _ in range(REFINEMENTS):
        axes = [
            np.linspace(max(value - step, low), min(value + step, high), TRIED_AGAIN)
            for value, step, (low, high) in zip(best, steps, bounds, strict=True)
        ]
        steps = [2 * step / (TRIED_AGAIN - 1) for step in steps]
        least, best = _least_on_grid(errors_of, axes)
    return least, best


def _least_on_grid(
    errors_of: Callable[..., Candidates], axes: Sequence[np.ndarray]
) -> tuple[float, Float[np.ndarray, " searched"]]:
    grid = np.stack([each.ravel() for each in np.meshgrid(*axes)])
    errors = errors_of(*grid)
    return float(errors.min()), grid[:, errors.argmin()]
