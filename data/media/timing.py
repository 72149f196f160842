"""How frames, samples and latents of one clip are counted.

The only place where these numbers are computed. A clip of 1 + 4k frames has 1 + k video latents
(the first frame stands alone; Yu et al. 2023, arXiv:2310.05737, section 3.2); its sound has as many
audio latents as fit whole into the clip: 17 frames at 8 fps are 2.125 s, 106.25 hops of 20 ms, so 106.
"""

from fractions import Fraction
from math import ceil


def exact_rate(fps: float) -> Fraction:
    """Frames per second as the fraction that was meant: 29.97002997 is 30000 / 1001."""
    return Fraction(fps).limit_denominator(100_000)


def shown_frames(num_frames: int, fps: float, new_fps: float) -> list[int]:
    """For every frame at a new rate, the index of the latest old frame shown at or before it.

    The new clip covers the whole of the old one: 75 frames at 25 fps become 24 at 8 fps.
    """
    step = exact_rate(fps) / exact_rate(new_fps)
    return [int(index * step) for index in range(ceil(num_frames / step))]


def video_latents(num_frames: int, stride: int = 4) -> int:
    """Latents of `num_frames` frames.

    Raises:
        ValueError: if the frames after the first do not fill whole groups of `stride`.
    """
    if num_frames < 1 or (num_frames - 1) % stride:
        raise ValueError(
            f"clip has {num_frames} frames; expected 1 + a multiple of {stride}, such as "
            f"{whole_frames(max(num_frames, 1), stride)}"
        )
    return 1 + (num_frames - 1) // stride


def video_frames(num_latents: int, stride: int = 4) -> int:
    """Frames that `num_latents` latents decode to."""
    return 1 + (num_latents - 1) * stride


def whole_frames(num_frames: int, stride: int = 4) -> int:
    """The largest count 1 + stride * k that is at most `num_frames`."""
    return 1 + (num_frames - 1) // stride * stride


def audio_samples(num_frames: int, fps: float, sample_rate: int) -> int:
    """Samples that last as long as `num_frames` frames, rounded to the nearest."""
    return round(num_frames * sample_rate / exact_rate(fps))


def audio_latents(num_frames: int, fps: float, sample_rate: int, hop_length: int) -> int:
    """Audio latents that fit whole into a clip: 17 frames at 8 fps, 16 kHz and hop 320 give 106.

    The waveform is cropped to this many hops *before* it is encoded; codecs themselves round up.
    """
    return int(num_frames * sample_rate / (exact_rate(fps) * hop_length))


def audio_step(fps: float, sample_rate: int, hop_length: int, stride: int = 4) -> float:
    """Time from one audio latent to the next, where 1 is the time between two video latents."""
    return float(exact_rate(fps) * hop_length / (sample_rate * stride))
