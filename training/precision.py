"""Which number format trains faster on this machine."""

from ..data.runtime.device import device_of
from .muon import has_fast_bfloat16


def faster_precision() -> str:
    """Lightning's name of a precision: `bf16-mixed` where it multiplies faster, else `32-true`."""
    return "bf16-mixed" if has_fast_bfloat16(device_of().type) else "32-true"
