"""Commands that are killed go on to what an unbroken run gives, bit for bit; a second one says who is at it.

The folders stand in shared memory where there is some, so on another file system than temporary files.
"""

import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from tempfile import mkdtemp

import pytest
from small_commands import Captioner, commands, count_steps, is_same, left_in, run_quietly, write_inputs

from videolm.cli.main import main
from videolm.data.runtime.files import remove_leftovers
from videolm.data.runtime.one_writer import only_writer

NAMES = tuple(commands(Path(), Path(), Path(), ""))
SOON = ("encode", "lm fit", "generate", "data caption")
LATER = [pytest.param(name, marks=pytest.mark.long) for name in NAMES if name not in SOON]
KILLS = 8  # of each command; half of them aimed at temporary files
RUNNING = 2  # kills of a run before it may end


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    memory = Path("/dev/shm")
    folder = Path(mkdtemp(prefix="videolm-", dir=memory if os.access(memory, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def table(place, corpus, model_folder, coded_run):
    write_inputs(place / "inputs", corpus)
    captioner = Captioner()
    yield commands(place / "inputs", model_folder, coded_run, captioner.address)
    captioner.shutdown()


class Runs:
    """Runs of one command in forked processes."""

    def __init__(self, words, folder: Path, start_forked):
        self.words, self.folder, self.start = words, folder, start_forked
        folder.mkdir()

    def out(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def whole(self) -> tuple[dict, int, float]:
        """What an unbroken run leaves, its steps through temporary files and its seconds."""
        out, counted = self.out("whole"), self.folder / "steps"

        def run() -> None:
            count_steps(lambda number: counted.write_text(str(number)) and None)
            self.run(out)

        started = time.monotonic()
        assert self.end(self.start(run)) == 0, self.log()
        return left_in(out), int(counted.read_text()), time.monotonic() - started

    def run(self, out: Path) -> None:
        run_quietly(self.words(out), self.folder / "log")

    def killed_at_step(self, out: Path, number: int) -> int | None:
        def run() -> None:
            count_steps(lambda taken: os.kill(os.getpid(), signal.SIGKILL) if taken == number else None)
            self.run(out)

        return self.end(self.start(run))

    def killed_after(self, out: Path, seconds: float) -> int | None:
        process = self.start(self.run, out)
        process.join(seconds)
        process.kill()
        return self.end(process)

    def finished(self, out: Path) -> dict:
        """What is left in the end; nothing of killed writers is."""
        assert self.end(self.start(self.run, out)) == 0, self.log()
        assert not remove_leftovers(out, 4) and not list(out.rglob("*.lock"))
        return left_in(out)

    def log(self) -> str:
        return (self.folder / "log").read_text()[-3000:]

    @staticmethod
    def end(process) -> int | None:
        process.join(120)
        return process.exitcode


def check(name: str, kills: int, table, place: Path, start_forked) -> None:
    runs = Runs(table[name], Path(mkdtemp(dir=place)) / "runs", start_forked)
    expected, steps, seconds = runs.whole()
    generator, done, trial = random.Random(name), 0, 0
    while done < kills:
        out, trial = runs.out(f"killed-{trial}"), trial + 1
        for _ in range(RUNNING):
            if done % 2:
                code = runs.killed_at_step(out, generator.randint(1, steps))
            else:
                code = runs.killed_after(out, generator.uniform(0, seconds))
            done += code == -signal.SIGKILL
        left = runs.finished(out)
        assert left.keys() == expected.keys()
        assert [file for file in left if not is_same(file, left[file], expected[file])] == []
        assert trial < 4 * kills, "hardly any run was killed"


def test_encoding_that_is_killed_goes_on_to_the_same_files(table, place, start_forked):
    check("encode", 2, table, place, start_forked)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NAMES)
def test_every_killed_command_goes_on_to_the_same_files(name, table, place, start_forked):
    check(name, KILLS, table, place, start_forked)


def prepared(name: str, place: Path) -> tuple[Path, Path, str]:
    """A folder for a command's results, and the folder and the name of its lock."""
    out = Path(mkdtemp(dir=place))
    if name.endswith("fit"):
        return out, out / "training" / name.split()[0], "videolm"
    if name.startswith("data"):
        return out, out, "list.jsonl"
    return out, out, "videolm-0" if name.startswith("evaluate") else "videolm"


@pytest.mark.parametrize("name", [*SOON, *LATER])
def test_a_second_one_into_the_same_folder_says_who_is_at_work(name, table, place, start_forked, capsys):
    out, folder, lock = prepared(name, place)
    ready, mine = get_context("fork").Pipe()

    def hold() -> None:
        with only_writer(folder, lock):
            mine.send(None)
            signal.pause()

    process = start_forked(hold)
    ready.recv()
    assert main(table[name](out)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert f"is being written by process {process.pid} on " in lines[-1]
    assert {path.suffix for path in out.rglob("*") if path.is_file()} == {".lock"}


@pytest.mark.parametrize(("name", "limit"), [("generate", 2500), ("encode", 600), ("lm fit", 2500)])
def test_a_full_disk_is_one_line_with_the_file_and_exit_code_1(name, limit, table, place, start_forked):
    """A bound on the size of files stands for it; what was finished stays, and the next run goes on."""
    runs = Runs(table[name], Path(mkdtemp(dir=place)) / "runs", start_forked)
    out = runs.out("full")

    def run() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        runs.run(out)

    assert runs.end(start_forked(run)) == 1, runs.log()
    last = runs.log().splitlines()[-1]
    assert last.startswith(f"videolm {name}: error: {out}/") and last.endswith("File too large")
    assert "Traceback" not in runs.log()
    assert not remove_leftovers(out, 4) and not list(out.rglob("*.lock"))
    runs.finished(out)
