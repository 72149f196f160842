"""The most rows that fit a device, by the estimate of its memory: `videolm info --batch-size auto`."""

from collections.abc import Callable

import torch

# Share of a device that is filled: what libraries reserve and fragmentation wastes is not in the estimate.
FILLED = 0.9
_MOST_ROWS = 65_536


def memory_of_device() -> float:
    """GiB of the first GPU.

    Raises:
        ValueError: if there is none, or it does not say.
    """
    if not torch.cuda.is_available():
        raise ValueError(
            "batch_size auto fills a device, and here is no GPU that says how much memory it has; "
            "give --device-memory GIB, 74.5 for a card of 80 GB"
        )
    return torch.cuda.get_device_properties(0).total_memory / 2**30


def most_rows(needed: Callable[[int], int], limit: int) -> int:
    """The most rows that need no more than `limit` bytes.

    Args:
        needed: bytes for so many rows, never less for more rows.

    Raises:
        ValueError: if one row needs more.
    """
    if (one := needed(1)) > limit:
        raise ValueError(
            f"one row needs {one / 2**30:.1f} GiB, and {limit / 2**30:.1f} of a device may be filled; divide "
            "the model among devices (--strategy fsdp2 --devices N) or recompute"
            " (--activation-checkpointing 1)"
        )
    fits, over = 1, 2
    while needed(over) <= limit and over < _MOST_ROWS:
        fits, over = over, 2 * over
    while over - fits > 1:
        middle = (fits + over) // 2
        fits, over = (middle, over) if needed(middle) <= limit else (fits, middle)
    return fits
