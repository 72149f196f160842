"""Warnings of a command, printed as notes: each once, when the work is done."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def notes() -> Iterator[None]:
    """Print the warnings of the block, each once, as notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for message in dict.fromkeys(str(note.message) for note in caught if note.category is UserWarning):
        print(f"note: {message}")
