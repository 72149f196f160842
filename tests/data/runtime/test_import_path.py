"""A folder of clips that holds Python files runs none of them, whatever is started in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from videolm.data.media.clip import write_clip
from videolm.data.runtime.import_path import import_path

# What a worker, a spawned process or the code in it imports early, and the package itself.
PLANTED = ("numpy", "json", "struct", "pickle", "random", "select", "torch", "av", "videolm", "sitecustomize")
TRAP = """import os
with open(os.environ["TRAP_LOG"], "a") as file:
    file.write(__name__ + "\\n")
"""
READ_MANY = """
from videolm.evaluation.metrics.shapes import describe_all
from videolm.data.synthetic.corpus import Corpus
if __name__ == "__main__":
    corpus = Corpus(height=32, width=32, num_frames=5, fps=8.0, sample_rate=None)
    print(len(describe_all([corpus[index] for index in range(64)])))
"""
COMMAND = """
import sys
from videolm.cli.main import main
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.fixture
def hostile(tmp_path: Path, corpus) -> Path:
    """A folder of two clips and many traps."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for index in range(2):
        write_clip(corpus[index], folder / f"{index}.mp4")
    for name in PLANTED:
        (folder / f"{name}.py").write_text(TRAP)
    return folder


def run(program: str, arguments: list[str], hostile: Path, tmp_path: Path) -> tuple[str, list[str]]:
    """Run a program that lies elsewhere, as an installed command does, and see which traps closed."""
    script, log = tmp_path / "bin" / "program.py", tmp_path / "trapped"
    script.parent.mkdir(exist_ok=True)
    script.write_text(program)
    # The environment of a user: nothing that keeps the current folder out, and a path with an empty part.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    environment |= {"TRAP_LOG": str(log), "PYTHONPATH": os.pathsep.join(import_path())}
    result = subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=hostile,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout, log.read_text().split() if log.exists() else []


@pytest.mark.parametrize(
    "line",
    [
        "data inspect . --num-workers 1",
        "data filter . --out ../list.jsonl --min-seconds 0.1 --num-workers 1",
        "encode . --model {model} --out ../shards --height 32 --width 32 --num-frames 9 --num-workers 1",
    ],
)
def test_commands_with_workers_run_no_file_of_the_current_folder(line, hostile, tmp_path, model_folder):
    output, trapped = run(COMMAND, line.format(model=model_folder).split(), hostile, tmp_path)
    assert "2" in output and trapped == []


def test_spawned_processes_run_no_file_of_the_current_folder(hostile, tmp_path):
    output, trapped = run(READ_MANY, [], hostile, tmp_path)
    assert output.strip() == "64" and trapped == []


def test_the_trap_closes_where_the_current_folder_is_on_the_path(hostile, tmp_path):
    log = tmp_path / "trapped"
    environment = os.environ | {"TRAP_LOG": str(log), "PYTHONSAFEPATH": ""}
    subprocess.run([sys.executable, "-c", "import select"], cwd=hostile, env=environment, check=False)
    assert log.exists()


def test_the_current_folder_is_on_no_path(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), str(Path.cwd()), str(tmp_path / "lib")])
    assert import_path() == [str(tmp_path), str(tmp_path / "lib")]
