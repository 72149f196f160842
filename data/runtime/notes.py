"""What videolm has to say of an input that it changed or left out, without ending: a warning of one sentence.

    notify("image: the first of 9 frames is used")  # <videolm>:1: Note: image: the first of 9 frames is used

Such a warning names no line of our code, which would tell a user nothing. As with any warning, what is said
again is shown once, `warnings.catch_warnings` collects it and a filter on `Note` silences it or makes it an
error.
"""

import warnings

PLACE = "<videolm>"  # a name of no file, for which Python shows no line
_SAID: dict = {}  # what was shown; kept by the module warnings


class Note(UserWarning):
    """The category of all that videolm warns of."""


def notify(message: str | Note) -> None:
    """Warn the user in a sentence."""
    warnings.warn_explicit(message, Note, PLACE, 1, registry=_SAID)
