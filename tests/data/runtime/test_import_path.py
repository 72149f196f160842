"""A folder of clips that holds Python files runs none of them, whatever is started in it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import videolm
from videolm.data.media.clip import write_clip
from videolm.data.runtime.import_path import import_path, isolate

ROOMS = ("data", "training", "tokenizers", "lm", "tasks", "generation", "evaluation", "cli")

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
COMMANDS = """
import sys
from videolm.cli.main import main
if __name__ == "__main__":
    for line in sys.argv[1:]:
        if code := main(line.split()):
            sys.exit(code)
"""
# What our own modules import when a command has begun.
LIBRARIES = ("numpy", "torch", "av", "PIL", "rich", "yaml", "jsonargparse", "safetensors", "lightning")


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


@pytest.mark.long
def test_commands_with_workers_run_no_file_of_the_current_folder(hostile, tmp_path, model_folder):
    size = "--data.height 32 --data.width 32 --data.num_frames 9 --data.fps 8"
    lines = [
        "data inspect . --num-workers 1",
        "data filter . --out ../list.jsonl --min-seconds 0.1 --num-workers 1",
        f"encode . --model {model_folder} --out ../shards --height 32 --width 32 --num-frames 9 "
        "--num-workers 1",
        f"tokenizer fit --config debug --data.source . {size} --data.num_workers 1 --data.batch_size 1 "
        "--data.validation_share 0.5 --trainer.max_steps 1 --out ../run",
    ]
    output, trapped = run(COMMANDS, lines, hostile, tmp_path)
    assert "2 clips" in output and "../run/model/video_tokenizer" in output and trapped == []


def test_workers_of_ray_run_no_file_of_the_current_folder(hostile, tmp_path, model_folder):
    pytest.importorskip("ray.data")
    (hostile / "ray.py").write_text(TRAP)
    line = f"encode . --model {model_folder} --out ../shards --height 32 --width 32 --num-frames 9"
    output, trapped = run(COMMANDS, [f"{line} --engine ray"], hostile, tmp_path)
    assert "2 clips" in output and trapped == []


def test_an_empty_part_of_the_path_is_not_the_current_folder(hostile, tmp_path):
    """Of the command itself; what Python imports before its first line cannot be defended."""
    for name in PLANTED:
        (hostile / f"{name}.py").unlink()
    for name in LIBRARIES:
        (hostile / f"{name}.py").write_text(TRAP)
    environment = os.environ | {"TRAP_LOG": str(tmp_path / "trapped"), "PYTHONSAFEPATH": ""}
    environment["PYTHONPATH"] = os.pathsep.join(["", *import_path()])
    command = [sys.executable, "-m", "videolm.cli.main", "data", "inspect", ".", "--num-workers", "1"]
    result = subprocess.run(command, cwd=hostile, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert not (tmp_path / "trapped").exists()


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


def test_a_command_leaves_the_current_folder_before_it_imports_a_library():
    code = "import sys, videolm.cli.main; print(*{name.split('.')[0] for name in sys.modules})"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(import_path())}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "videolm" in result.stdout.split()
    assert not {*LIBRARIES, "transformers", "pydantic", "matplotlib"} & set(result.stdout.split())


def test_a_folder_that_the_user_names_stays_on_the_path(monkeypatch, tmp_path):
    for named, kept in (("", False), (os.pathsep, False), (str(tmp_path), True)):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", named)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *import_path()])
        isolate()
        assert (str(tmp_path) in sys.path) == kept
        assert os.environ["PYTHONPATH"] == (named if kept else "")
        assert os.environ["PYTHONSAFEPATH"] == "1"


def test_nothing_starts_a_process_without_a_path_of_its_own():
    package = Path(videolm.__file__).parent
    starts = re.compile(r"\b(Popen|subprocess\.run|get_context|Process|ray\.init|os\.exec\w+|os\.system)\(")
    sources = [path for room in ROOMS for path in sorted((package / room).rglob("*.py"))]
    starting = {path for path in sources if starts.search(path.read_text())}
    assert len(starting) >= 3
    for path in starting:
        assert re.search(r"\bisolated_environment\(\)|\bisolate\(\)", path.read_text()), path
