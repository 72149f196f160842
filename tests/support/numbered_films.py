"""Small films for tests whose frames tell their number."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

_BITS = 10


def numbered(number: int, height: int = 64, width: int = 80) -> np.ndarray:
    """A frame whose ten columns are white or black by the bits of its number."""
    bits = [255 * (number >> bit & 1) for bit in range(_BITS)]
    row = np.repeat(np.array(bits, np.uint8), width // _BITS)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def number_of(frame: torch.Tensor) -> int:
    """The number that a frame tells, also when it was scaled."""
    width = frame.shape[1] / _BITS
    middle = frame[frame.shape[0] // 2].float().mean(-1)
    return sum(int(middle[int((bit + 0.5) * width)] > 127) << bit for bit in range(_BITS))


def write_numbered(
    path: Path,
    num_frames: int,
    *,
    codec: str = "libx264",
    fps: int = 25,
    key_every: int = 50,
    first: float = 0.0,
    times: list[float] | None = None,
    start: int = 0,
    tone: float = 0.0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Frames `start`, `start` + 1, …, the first shown at `first` seconds, with a tone if one is asked for.

    Args:
        times: when each is shown after `first`, in whole frames; one after the other if not given.
    """
    keys = {"g": str(key_every), "keyint_min": str(key_every), "sc_threshold": "0"}
    with _usual_scheduling(), av.open(str(path), "w", options=container_options or {}) as container:
        video = container.add_stream(codec, fps, options=keys | (options or {}))
        video.height, video.width, video.pix_fmt = 64, 80, "yuv420p"
        audio = container.add_stream("aac", 16000, layout="mono") if tone else None
        for index in range(num_frames):
            frame = av.VideoFrame.from_ndarray(numbered(start + index), "rgb24")
            time = first + (index / fps if times is None else times[index])
            frame.pts, frame.time_base = round(time * fps), Fraction(1, fps)
            container.mux(video.encode(frame))
            if audio is not None:
                container.mux(audio.encode(_tone(index, fps, tone, first)))
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


@contextmanager
def _usual_scheduling() -> Iterator[None]:
    """As root, SVT-AV1 gives the thread that opens an encoder real-time priority."""
    try:
        yield
    finally:
        if hasattr(os, "sched_setscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))



def _tone(index: int, fps: int, hertz: float, first: float) -> av.AudioFrame:
    """The sound of one frame."""
    samples = np.arange(index * 16000 // fps, (index + 1) * 16000 // fps)
    wave = 0.5 * np.sin(2 * np.pi * hertz * samples / 16000)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
    frame.sample_rate, frame.time_base = 16000, Fraction(1, 16000)
    frame.pts = int(samples[0]) + round(first * 16000)
    return frame


def pitch(waveform: torch.Tensor, sample_rate: int) -> float:
    """The strongest frequency of one channel, in Hz."""
    spectrum = torch.fft.rfft(waveform * torch.hann_window(len(waveform))).abs()
    return float(spectrum.argmax()) * sample_rate / len(waveform)
