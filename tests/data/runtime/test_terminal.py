"""Texts of files reach a terminal as characters, not as commands."""

import io
import json
import os
import pty
import sys
import threading

import pytest

import videolm.data.runtime.progress
from videolm.cli.main import main
from videolm.data.media.clip import write_clip
from videolm.data.runtime.progress import progress
from videolm.data.runtime.terminal import HarmlessStream, harmless, printable_output

EVIL = "\x1b]0;title\x07\x1b[2Jgone\x9b31m\u202ereversed\udc80"


def shown_on_a_terminal(function) -> str:
    """What a function writes to a terminal, as bytes of Latin-1."""
    own, theirs = pty.openpty()
    parts = []

    def collect() -> None:
        while True:
            try:
                parts.append(os.read(own, 4096))
            except OSError:
                return

    reader = threading.Thread(target=collect)
    reader.start()
    stream, before = os.fdopen(theirs, "w", encoding="utf-8"), (sys.stdout, sys.stderr)
    sys.stdout = sys.stderr = stream
    try:
        function()
        stream.flush()
    finally:
        sys.stdout, sys.stderr = before
        stream.close()
        reader.join()
        os.close(own)
    return b"".join(parts).decode("utf-8")


def test_commands_to_a_terminal_are_escaped_as_json_does():
    text = harmless(EVIL)
    assert text.isprintable() and text.encode()
    assert json.loads(f'"{text}"') == EVIL
    assert harmless("é 日本 👩‍👩‍👧 a\tb\n") == "é 日本 👩‍👩‍👧 a\tb\n"


def test_a_stream_is_otherwise_as_it_was():
    inner = io.StringIO()
    stream = HarmlessStream(inner)
    print("a", EVIL, file=stream, flush=True)
    print("\rbar: 3/4", end="", file=stream)
    assert inner.getvalue() == f"a {harmless(EVIL)}\n\rbar: 3/4"
    assert stream.isatty() is False and stream.getvalue() == inner.getvalue()


@pytest.mark.parametrize(
    "command",
    [
        ["data", "inspect", "{folder}", "--num-workers", "0"],
        ["data", "inspect", "{folder}", "--num-workers", "0", "--json"],
        ["data", "inspect", "{folder}", "--where", "kind=" + EVIL[:-1]],
        ["tasks", "--model", "{folder}/" + EVIL[:-1]],
        ["generate", EVIL[:-1]],
        [EVIL[:-1]],
        ["lm", "fit", "--config", EVIL[:-1], "--out", "run"],
    ],
)
def test_no_command_hands_texts_of_files_to_the_terminal(command, tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(videolm.data.runtime.progress, "_bar", videolm.data.runtime.progress._lines)
    folder = tmp_path / "clips"
    folder.mkdir()
    write_clip(corpus[0], folder / f"a{EVIL[:-1].replace('/', '')}.mp4")
    lines = [{"path": name, "caption": EVIL[:-1], "kind": EVIL[:-1]} for name in ("gone\x1b[2J.mp4", "a.mp4")]
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n{\x1b[2J\x9b")
    text = shown_on_a_terminal(lambda: main([word.replace("{folder}", str(folder)) for word in command]))
    assert text and not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text), repr(text)


def test_a_traceback_is_harmless_too(monkeypatch):
    def fail() -> None:
        before = sys.stdout, sys.stderr
        try:
            with printable_output():
                raise RuntimeError(EVIL)
        except RuntimeError:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout, sys.stderr = before

    text = shown_on_a_terminal(fail)
    assert "RuntimeError" in text and "\x1b" not in text


def test_a_bar_draws_itself_and_no_text_of_a_file():
    def work() -> None:
        with printable_output(), progress(f"read [red]{EVIL}", 2) as report:
            report(1, EVIL)
            print(f"printed {EVIL}")

    text = shown_on_a_terminal(work)
    assert "\x1b[" in text  # the bar's own
    assert "title" in text and "\x1b]0" not in text and "\x9b" not in text and "\x1b[2J" not in text
    assert "[red]" in text
