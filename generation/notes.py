"""Warnings of a command, printed as notes: each once, when the work is done."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from .prompt_text import TextNote


@contextmanager
def notes() -> Iterator[None]:
    """Print the warnings of the block, each once, as notes; those of texts as one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    of_texts = [note.message for note in caught if isinstance(note.message, TextNote)]
    merged = [str(sum(of_texts[1:], of_texts[0]))] if of_texts else []
    others = [str(note.message) for note in caught if note.category is UserWarning]
    for message in dict.fromkeys(others + merged):
        print(f"note: {message}")
