"""Functions for worker processes, which must be able to import them."""

import time
from collections.abc import Generator


def in_steps(steps: int) -> Generator[None, None, int]:
    """Half a second for each step; then their number."""
    for _ in range(steps):
        time.sleep(0.5)
        yield
    return steps


def hangs_after(steps: int) -> Generator[None, None, None]:
    yield from in_steps(steps)
    time.sleep(1000)
