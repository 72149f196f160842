"""What a terminal is shown: texts of files without the characters that command it.

A caption, a file's name or a key of a list may hold escape sequences, which move the cursor over what was
printed, set the clipboard or answer for the user. All that a command prints passes `printable_output`, where
such characters are written as \\u001b, as JSON writes them too. What draws on the terminal by intention
(progress.py) takes `raw` and prints no text of a file there.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

# Control characters but for line ends and tabs, separators of lines, those that turn the direction of
# writing around, and halves of characters, which no encoding can write.
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """A text with escapes in the place of characters that command a terminal."""
    return _COMMANDS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class HarmlessStream:
    """A stream of text to which only `harmless` texts are written."""

    def __init__(self, stream: Any):
        self.stream = stream

    def write(self, text: str) -> int:
        # Bars of other libraries begin each of their lines with a carriage return.
        start = "\r" if text.startswith("\r") else ""
        self.stream.write(start + harmless(text.removeprefix(start)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def raw(stream: Any) -> Any:
    """The stream behind a `HarmlessStream`."""
    return stream.stream if isinstance(stream, HarmlessStream) else stream


@contextmanager
def printable_output() -> Iterator[None]:
    """What the block prints is harmless; so is the traceback of an exception that leaves it."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (HarmlessStream(raw(each)) for each in before)
    yield
    sys.stdout, sys.stderr = before
