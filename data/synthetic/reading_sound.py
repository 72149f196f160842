"""Recognise pitch and clicks of a sound."""

import numpy as np
from jaxtyping import Float

from .certainty import certainty
from .scene import PITCHES

WINDOW_SECONDS = 0.128
TOLERANCE = 0.04  # of a pitch: two thirds of a semitone
QUIET = 1e-3
LOWEST_OF_CLICK = 3000.0  # hertz: above the third harmonic of the highest note
CLICK_WINDOW, CLICK_HOP = 0.004, 0.001
CLICK_REACH, CLICK_RISE = 0.06, 0.02  # seconds: how far one click is from the next, and how long one may rise
LEAST_BRIGHT = 0.3  # of the power at a click, what is above LOWEST_OF_CLICK

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
    """Seconds of every bright sound that sets in at once and outweighs the note that sounds with it."""
    length, hop = round(CLICK_WINDOW * sample_rate), round(CLICK_HOP * sample_rate)
    if sample_rate / 2 < LOWEST_OF_CLICK * 1.2 or len(samples) < 20 * length:
        return ()
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(samples, length // 2), length)[::hop]
    power = np.abs(np.fft.rfft(windows * np.hanning(length))) ** 2
    bright, whole = power[:, np.fft.rfftfreq(length, 1 / sample_rate) > LOWEST_OF_CLICK].sum(1), power.sum(1)
    threshold = max(12 * np.median(bright), 0.02 * whole.max(), QUIET)
    reach, rise = round(CLICK_REACH / CLICK_HOP), round(CLICK_RISE / CLICK_HOP)
    peaks = [
        place
        for place in np.flatnonzero((bright > threshold) & (bright > LEAST_BRIGHT * whole)).tolist()
        if bright[place] == bright[max(place - reach, 0) : place + reach + 1].max()
    ]
    return tuple(_onset(bright, place, rise) * hop / sample_rate for place in peaks)


def _onset(bright: Samples, peak: int, rise: int) -> int:
    """The first place of the rise to a peak at which a quarter of its power is there."""
    first = max(peak - rise, 0)
    return first + int((bright[first : peak + 1] > bright[peak] / 4).argmax())
