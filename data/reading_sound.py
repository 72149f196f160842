"""Pitch and clicks of a sound."""

import numpy as np
from jaxtyping import Float

from .certainty import certainty
from .scene import PITCHES

WINDOW_SECONDS = 0.128
TOLERANCE = 0.04  # of a pitch: two thirds of a semitone
QUIET = 1e-3
LOWEST_OF_CLICK = 3000.0  # hertz: above the third harmonic of the highest note
CLICK_WINDOW, CLICK_HOP = 0.004, 0.001

Samples = Float[np.ndarray, " samples"]


def read_pitch(samples: Samples, sample_rate: int) -> tuple[str, float] | None:
    """The note that sounds throughout and its confidence, or None in silence."""
    length = min(round(WINDOW_SECONDS * sample_rate), len(samples))
    if length < sample_rate / 20 or samples.std() < QUIET:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(samples, length)[:: max(length // 2, 1)]
    power = np.abs(np.fft.rfft(windows * np.hanning(length), 2 * length)) ** 2
    hertz = np.fft.rfftfreq(2 * length, 1 / sample_rate)
    bands = np.array([np.abs(hertz / pitch - 1) < TOLERANCE for pitch in PITCHES.values()])
    by_note = power @ bands.T
    total = by_note.sum(0) / power[:, hertz > 60].sum()
    winner = int(total.argmax())
    loudness = np.sqrt(power.sum(1))
    agreeing = loudness[by_note.argmax(1) == winner].sum() / loudness.sum()
    confidence = min(
        certainty(total[winner], 0.1, 0.5),
        certainty(np.delete(total, winner).max() / total[winner], 0.8, 0.2),
        certainty(agreeing, 0.6, 1.0),
    )
    return tuple(PITCHES)[winner], confidence


def read_clicks(samples: Samples, sample_rate: int) -> tuple[float, ...]:
    """Seconds of every short broad-band burst that stands out from what sounds before and after it."""
    length, hop = round(CLICK_WINDOW * sample_rate), round(CLICK_HOP * sample_rate)
    if sample_rate / 2 < LOWEST_OF_CLICK * 1.2 or len(samples) < 20 * length:
        return ()
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(samples, length // 2), length)[::hop]
    power = np.abs(np.fft.rfft(windows * np.hanning(length))) ** 2
    bright = power[:, np.fft.rfftfreq(length, 1 / sample_rate) > LOWEST_OF_CLICK].sum(1)
    loudest = power.sum(1).max()
    threshold = max(12 * np.median(bright), 0.02 * loudest, QUIET)
    reach = round(0.03 / CLICK_HOP)
    return tuple(
        float(place * hop / sample_rate)
        for place in np.flatnonzero(bright > threshold)
        if bright[place] == bright[max(place - reach, 0) : place + reach + 1].max()
    )
