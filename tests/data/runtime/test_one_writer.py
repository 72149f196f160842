"""One writer at a time: the second says who holds the lock, and a dead process' lock is taken over."""

import errno
import fcntl
import os
import signal
import threading
from multiprocessing import get_context
from pathlib import Path

import pytest

from videolm.data.runtime.one_writer import InUse, is_lock, only_writer


def held_by(start_forked, folder: Path, *, orphan: bool = False):
    """A process that holds the lock of a folder; with an `orphan`, a child of its own that outlives it."""
    ready, mine = get_context("fork").Pipe()

    def hold() -> None:
        with only_writer(folder):
            child = os.fork() if orphan else None
            if child == 0:
                signal.pause()
            mine.send(child)
            signal.pause()

    process = start_forked(hold)
    return process, ready.recv()


def test_a_second_process_says_who_holds_the_folder(start_forked, tmp_path):
    process, _ = held_by(start_forked, tmp_path / "out")
    with pytest.raises(InUse, match=rf"out is being written by process {process.pid} on .+, since 20.+"):
        only_writer(tmp_path / "out").__enter__()
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".videolm.lock"]


def test_the_lock_of_a_killed_process_is_taken_over_whatever_its_children_do(start_forked, tmp_path):
    process, child = held_by(start_forked, tmp_path, orphan=True)
    try:
        process.kill()
        process.join()
        with only_writer(tmp_path):
            assert f'"pid": {os.getpid()}' in (tmp_path / ".videolm.lock").read_text()
        assert not list(tmp_path.iterdir())
    finally:
        os.kill(child, signal.SIGKILL)


def test_who_holds_it_may_take_it_again_and_so_may_its_children(start_forked, tmp_path):
    with only_writer(tmp_path):
        with only_writer(tmp_path / ".." / tmp_path.name):
            pass
        child = start_forked(only_writer(tmp_path).__enter__)
        child.join()
        assert child.exitcode == 0
        assert (tmp_path / ".videolm.lock").is_file()


def test_another_thread_is_refused(tmp_path):
    refused = []

    def second():
        try:
            with only_writer(tmp_path):
                pass
        except InUse as error:
            refused.append(str(error))

    with only_writer(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert refused and f"process {os.getpid()}" in refused[0]
    second()
    assert len(refused) == 1


def test_other_names_are_other_locks_and_a_folder_made_for_one_goes_with_it(start_forked, tmp_path):
    held_by(start_forked, tmp_path)
    with only_writer(tmp_path, "list.jsonl"):
        assert is_lock(tmp_path / ".list.jsonl.lock") and not is_lock(tmp_path / "list.lock")
    with only_writer(tmp_path / "deep" / "empty"):
        pass
    assert not (tmp_path / "deep").exists()
    with only_writer(tmp_path / "deep" / "filled"):
        (tmp_path / "deep" / "filled" / "file").touch()
    assert [path.name for path in (tmp_path / "deep" / "filled").iterdir()] == ["file"]


def test_what_a_file_of_a_lock_says_cannot_harm_the_terminal(start_forked, tmp_path):
    held_by(start_forked, tmp_path)
    forged = '{"pid": 1, "host": "h", "command": "\\u001b[2J", "since": "now"}'
    (tmp_path / ".videolm.lock").write_text(forged)
    with pytest.raises(InUse, match=r"process 1 on h, since now: \?\[2J;"):
        only_writer(tmp_path).__enter__()
    (tmp_path / ".videolm.lock").write_text("[]")
    with pytest.raises(InUse, match="by another process;"):
        only_writer(tmp_path).__enter__()


def test_a_file_system_without_locks_is_said_and_written_to(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with only_writer(tmp_path):
        (tmp_path / "file").touch()
    assert "file system without locks" in capsys.readouterr().err


def test_leftovers_of_a_killed_writer_are_gone_once_the_lock_is_held(tmp_path):
    (tmp_path / ".031.mp4.abcd1234").mkdir()
    (tmp_path / ".031.mp4.abcd1234" / "031.mp4").touch()
    (tmp_path / ".mine.abcd1234").mkdir()
    (tmp_path / ".mine.abcd1234" / "notes").touch()
    with only_writer(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {".videolm.lock", ".mine.abcd1234"}
