"""Which number format trains faster on this machine."""

import time

import torch

_SIZE = 1024
_WORTHWHILE = 1.5


def faster_precision() -> str:
    """Lightning's name of a precision: `bf16-mixed` where matrix products gain by bfloat16, else `32-true`.

    CPUs differ: bfloat16 is up to five times as fast as float32, or slower where instructions for it lack.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    gain = _seconds(torch.float32, device) / _seconds(torch.bfloat16, device)
    return "bf16-mixed" if gain > _WORTHWHILE else "32-true"


def _seconds(dtype: torch.dtype, device: str) -> float:
    """The shortest of a few matrix products."""
    matrix = torch.randn(_SIZE, _SIZE, device=device).to(dtype)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        (matrix @ matrix)[0, 0].item()  # asking for a number waits for a GPU
        times.append(time.perf_counter() - start)
    return min(times)
