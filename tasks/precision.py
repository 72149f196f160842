"""Which number format trains faster on this machine."""

import torch

from ..data.optimisation import has_fast_bfloat16


def faster_precision() -> str:
    """Lightning's name of a precision: `bf16-mixed` where it multiplies faster, else `32-true`."""
    return "bf16-mixed" if has_fast_bfloat16("cuda" if torch.cuda.is_available() else "cpu") else "32-true"
