"""Warnings of a command, printed as notes: each once, when the work is done."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ..data.runtime.notes import Note
from .prompt_text import TextNote


@contextmanager
def notes() -> Iterator[None]:
    """Print the warnings of the block, each once, as notes; those of texts as one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Note)
        yield
    of_texts = [each.message for each in caught if isinstance(each.message, TextNote)]
    merged = [str(sum(of_texts[1:], of_texts[0]))] if of_texts else []
    others = [str(each.message) for each in caught if each.category is Note]
    for message in dict.fromkeys(others + merged):
        print(f"note: {message}")
