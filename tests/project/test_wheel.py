"""The built wheel alone, in an environment of its own and without a network, makes a clip."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = (".*", "runs", "build", "dist", "tests", "benchmarks", "docs", "__pycache__", "*.egg-info")
# The command line with every connection refused, and where the package and its parts come from.
OFF_LINE = """
import json, socket, sys
def refuse(*arguments, **options):
    raise OSError("there is no network")
socket.socket.connect = socket.getaddrinfo = refuse
import videolm
from videolm.cli.main import main
code = main(sys.argv[1:])
clip = videolm.read_clip("red.mp4")
print(json.dumps({"code": code, "package": videolm.__file__, "frames": list(clip.frames.shape)}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    # Nothing of this environment but its packages.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel and sees the packages that it needs.

    Their folder is on its path as a folder only: files there that would lead to this checkout are not read.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*SKIPPED))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*build, "--disable-pip-version-check", "--wheel-dir", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "venv", folder / "clean", cwd=folder)
    programs = folder / "clean" / "bin"
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run(programs / "python", "-c", asked, cwd=folder))
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run(programs / "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    return programs


@pytest.mark.long
def test_the_wheel_makes_a_clip_without_a_network(clean: Path, tmp_path: Path):
    words = ["generate", "--text", "a red square moves right", "--out", "red.mp4"]
    said = json.loads(run(clean / "python", "-P", "-c", OFF_LINE, *words, cwd=tmp_path).splitlines()[-1])
    assert said["code"] == 0 and said["frames"] == [9, 48, 48, 3]
    assert Path(said["package"]).is_relative_to(clean.parent)


@pytest.mark.long
def test_the_wheel_brings_the_command_and_its_address(clean: Path, tmp_path: Path):
    import videolm

    assert run(clean / "videolm", "--version", cwd=tmp_path) == videolm.__version__
    assert "generate" in run(clean / "videolm", "--help", cwd=tmp_path)
    asked = "from importlib.metadata import metadata; print(metadata('videolm').get_all('Project-URL'))"
    assert "https://github.com/videolm/videolm" in run(clean / "python", "-c", asked, cwd=tmp_path)
