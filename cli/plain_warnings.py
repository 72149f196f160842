"""Warnings of videolm on a terminal: a line each, once, without the place in the code that they come from."""

import inspect
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_PACKAGE = __name__.partition(".")[0]


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show what videolm itself warns of as notes on stderr; what libraries warn of stays as it is."""
    usual, shown = warnings.showwarning, set[str]()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not (issubclass(category, UserWarning) and _is_ours()):
            usual(message, category, filename, lineno, file, line)
        elif str(message) not in shown:
            shown.add(str(message))
            print(f"note: {message}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _is_ours() -> bool:
    """Whether the code that warns, wherever it says that it does, is videolm's."""
    names = [str(each.frame.f_globals.get("__name__")) for each in inspect.stack(context=0)]
    after = len(names) - names[::-1].index("warnings") if "warnings" in names else len(names)
    return after < len(names) and names[after].partition(".")[0] == _PACKAGE
