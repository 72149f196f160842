"""Number formats: whether a device multiplies faster in bfloat16 than in float32."""

import time
from functools import cache

import torch

from ..data.runtime.device import device_of

_TIMED_SIZE, _TIMED_RUNS = 512, 10


def faster_precision() -> str:
    """Lightning's name of this machine's faster precision: `bf16-mixed` or `32-true`."""
    return "bf16-mixed" if has_fast_bfloat16(device_of().type) else "32-true"


@cache
def has_fast_bfloat16(device: str) -> bool:
    """Whether a kind of device ("cpu", "cuda", ...) multiplies faster in bfloat16 than in float32.

    CPUs with AMX are four to five times faster. Of those that have only the dot products of AVX-512 some
    (AMD Zen 5, PyTorch 2.13) are as well, others take twice as long as in float32: they are timed.
    """
    if device == "cpu":
        return torch.cpu._is_amx_tile_supported() or (
            torch.cpu._is_avx512_bf16_supported() and _seconds(torch.float32) > 1.5 * _seconds(torch.bfloat16)
        )
    return device != "cuda" or torch.cuda.is_bf16_supported()


def _seconds(dtype: torch.dtype) -> float:
    """Of a product of matrices, the least of several."""
    matrix = torch.ones(_TIMED_SIZE, _TIMED_SIZE, dtype=dtype)
    seconds = []
    for _ in range(_TIMED_RUNS):
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def is_half(precision: str | int) -> bool:
    """Whether a trainer computes in 16 bits, such as with "bf16-mixed"."""
    return "16" in str(precision)
