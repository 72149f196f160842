"""Number formats: whether a device multiplies faster in bfloat16 than in float32."""

from functools import cache

import torch

from ..data.runtime.device import device_of


def faster_precision() -> str:
    """Lightning's name of this machine's faster precision: `bf16-mixed` or `32-true`."""
    return "bf16-mixed" if has_fast_bfloat16(device_of().type) else "32-true"


@cache
def has_fast_bfloat16(device: str) -> bool:
    """Whether a kind of device ("cpu", "cuda", ...) multiplies faster in bfloat16 than in float32.

    CPUs with AMX are four to five times faster. On CPUs that have only the dot products of AVX-512 PyTorch
    takes twice as long as in float32.
    """
    if device == "cpu":
        return torch.cpu._is_amx_tile_supported()
    return device != "cuda" or torch.cuda.is_bf16_supported()
