"""What videolm warns of: one line without the place in the code, once, under a category of its own."""

import subprocess
import sys
import warnings

import pytest

from videolm.data.runtime.notes import Note, notify


def test_a_note_shows_no_line_of_code_and_is_shown_once():
    code = "from videolm.data.runtime.notes import notify\nfor _ in range(3): notify('the end is cut')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "<videolm>:1: Note: the end is cut\n"


def test_notes_can_be_made_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error", Note)
        with pytest.raises(Note, match="the end is cut"):
            notify("the end is cut")
