"""A command of videolm as text."""

import shlex
from collections.abc import Sequence


def in_words(command: Sequence[str]) -> str:
    """A command as it would be typed.

    Args:
        command: words after `videolm`.
    """
    return shlex.join(["videolm", *command])
