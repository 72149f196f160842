"""Confidences from measurements."""

import numpy as np


def certainty(value: float | np.floating, doubtful: float, sure: float) -> float:
    """0 at `doubtful`, 1 at `sure`, linear between and flat beyond; `sure` may be the smaller of the two."""
    return float(np.clip((value - doubtful) / (sure - doubtful), 0, 1))
