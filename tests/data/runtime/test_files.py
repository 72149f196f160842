"""Files and folders become visible whole or not at all, and what killed processes leave is cleared away."""

import os
import resource
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from videolm.data.media.writing import write_media
from videolm.data.runtime import files
from videolm.data.runtime.files import changing, read_json, remove_leftovers, replacing, write_json

STEPS = ("mkdtemp", "flush", "os.replace", "os.rename", "_exchange", "_flush_one", "shutil.rmtree")


def write_folder(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "one").write_text(text)
        (temporary / "two").write_text(text)


def content(path: Path) -> set[str]:
    return {each.read_text() for each in path.iterdir()}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def count_and_die(step: str, at: int, *, after: bool) -> None:
    """Kill this process before or after the `at`-th call of one of the steps of `replacing`."""
    owner, _, name = step.rpartition(".")
    place = getattr(files, owner) if owner else files.tempfile if step == "mkdtemp" else files
    real, calls = getattr(place, name), []

    def counted(*arguments, **options):
        calls.append(step)
        if len(calls) == at and not after:
            die()
        result = real(*arguments, **options)
        if len(calls) == at:
            die()
        return result

    setattr(place, name, counted)


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_is_the_old_or_the_new_one_wherever_its_writer_is_killed(swaps, start_forked, tmp_path):
    """Where the file system cannot swap, the next writer finishes what was between two renames."""
    path = tmp_path / "model"

    def write(step: str, at: int, after: bool) -> None:
        if not swaps:
            files._exchange = lambda *_: False
        count_and_die(step, at, after=after)
        write_folder(path, "new")

    kills = 0
    for step in STEPS:
        for at in (1, 2):
            for after in (False, True):
                write_folder(path, "old")
                process = start_forked(write, step, at, after)
                process.join()
                kills += process.exitcode == -signal.SIGKILL
                if swaps:
                    assert content(path) in ({"old"}, {"new"})
                remove_leftovers(tmp_path)
                assert content(path) in ({"old"}, {"new"})
                assert [each.name for each in tmp_path.iterdir()] == ["model"]
    assert kills >= 12


def test_what_a_living_process_writes_is_no_leftover(start_forked, tmp_path):
    ready, mine = get_context("fork").Pipe()

    def write() -> None:
        with replacing(tmp_path / "film.mp4") as temporary:
            temporary.write_text("half")
            mine.send(None)
            signal.pause()

    process = start_forked(write)
    ready.recv()
    with replacing(tmp_path / "own") as temporary:
        temporary.write_text("half")
        assert not remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    process.kill()
    process.join()
    assert [each.name[:10] for each in remove_leftovers(tmp_path)] == [".film.mp4."]
    assert [each.name for each in tmp_path.iterdir()] == ["own"]


def test_the_next_writer_of_a_folder_removes_leftovers_and_nothing_else(tmp_path):
    for name, inner in ((".031.mp4.abcd1234", "031.mp4"), (".model.abcd1234", "model"), (".x.y1234567", "z")):
        (tmp_path / name).mkdir()
        (tmp_path / name / inner).touch()
    (tmp_path / ".file.abcd1234").touch()
    write_json(tmp_path / "value.json", 1)
    assert {each.name for each in tmp_path.iterdir()} >= {".x.y1234567", ".file.abcd1234", "value.json"}
    # A model that was complete when its writer was killed, and has no other in its place, is no leftover.
    assert len(list(tmp_path.iterdir())) == 3 + (tmp_path / "model").exists()


def test_a_file_gives_way_to_a_folder_and_back(tmp_path):
    path = tmp_path / "last.ckpt"
    write_json(path, 1)
    write_folder(path, "new")
    assert content(path) == {"new"}
    write_json(path, 2)
    assert read_json(path) == 2 and list(tmp_path.iterdir()) == [path]


def test_all_is_flushed_before_it_takes_its_place(tmp_path, monkeypatch):
    seen = []
    flush, put = files._flush_one, files._put
    monkeypatch.setattr(files, "_flush_one", lambda path: (seen.append(path.name), flush(path)))
    monkeypatch.setattr(files, "_put", lambda *arguments: (seen.append("put"), put(*arguments)))
    write_folder(tmp_path / "model", "new")
    assert sorted(seen[:3]) == ["model", "one", "two"]
    assert seen[3:] == ["put", tmp_path.name]


def _tensors(path: Path) -> None:
    with replacing(path) as temporary:
        save_file({"a": torch.zeros(100_000)}, temporary)


def _media(path: Path) -> None:
    frames = torch.randint(0, 255, (1 if path.suffix == ".png" else 9, 128, 128, 3), dtype=torch.uint8)
    sound = (torch.rand(1, 200_000), 16000) if path.suffix not in (".gif", ".png") else ()
    write_media(path, frames, 8.0, *sound)


WRITERS = {"a.json": lambda path: write_json(path, "x" * 100_000), "a.safetensors": _tensors}
WRITERS |= {f"a{suffix}": _media for suffix in (".mp4", ".webm", ".mkv", ".gif", ".png", ".wav")}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_named_with_the_file_and_what_was_there_stays(name, start_forked, tmp_path):
    """A limit on the size of files stands for it: what every writer meets is the same error of the system."""
    (tmp_path / name).write_text("former")
    answers, mine = get_context("fork").Pipe()

    def write() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        try:
            WRITERS[name](tmp_path / name)
        except OSError as error:
            mine.send((error.errno in files.NO_SPACE, error.filename))

    start_forked(write)
    assert answers.poll(60) and answers.recv() == (True, str(tmp_path / name))
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "former"


def test_what_is_written_is_flushed_before_it_takes_its_place_and_the_folder_after(tmp_path, monkeypatch):
    events, replace = [], os.replace

    def moved(*paths):
        events.append("moved")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append("flushed"))
    monkeypatch.setattr(os, "replace", moved)
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("a")
    assert events == ["flushed", "moved", "flushed"]


def test_a_folder_changes_as_a_whole_and_keeps_what_is_not_replaced(tmp_path):
    """Hidden files too, such as those of a sharded checkpoint; not locks, nor what killed writers left."""
    folder = tmp_path / "model"
    for name in ("a", "part/b", ".metadata", ".videolm.lock", ".b.x1y2z3w4/b"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("former")
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(RuntimeError), changing(folder) as temporary:
        write_json(temporary / "a", 1)
        raise RuntimeError
    assert (folder / "a").read_text() == "former"
    with changing(tmp_path / "link") as temporary:
        write_json(temporary / "part/b", 2)
        assert (folder / "part/b").read_text() == "former"
    assert {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()} == {
        "a", "part/b", ".metadata",
    }  # fmt: skip
    assert read_json(folder / "part/b") == 2 and (tmp_path / "link").is_symlink()


def test_where_there_are_no_hard_links_files_are_copied(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(files.os, "link", refuse)
    (tmp_path / "one").write_text("content")
    files.link_tree(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "other").read_text() == "content"
