"""What is installed, and how fast it starts."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Hidden folders, such as an environment's, and what a build leaves are not the project's either.
_NOT_PACKAGED = {"tests", "benchmarks", "examples", "docs", "build", "dist", "runs"}


def source_files(pattern: str) -> list[Path]:
    """Files below the folders that are packaged."""
    return [
        path
        for folder in ROOT.iterdir()
        if folder.is_dir() and folder.name not in _NOT_PACKAGED and not folder.name.startswith(".")
        for path in folder.rglob(pattern)
    ]


def run(*command: str, cwd: Path = ROOT) -> str:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_huggingface_tokenizers_wins_from_the_repository_root():
    found = run(sys.executable, "-c", "import tokenizers; print(tokenizers.__file__)")
    assert "site-packages" in found


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, videolm; print(sorted({'torch', 'numpy', 'lightning', 'av'} & set(sys.modules)))"
    assert run(sys.executable, "-c", code) == "[]"


def test_top_level_help_loads_no_torch(tmp_path):
    code = (
        "import sys\nfrom videolm.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules)"
    )
    assert run(sys.executable, "-c", code, cwd=tmp_path).endswith("False")


def test_every_public_name_can_be_imported():
    import videolm

    for name in videolm.__all__:
        assert getattr(videolm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        videolm.nothing  # noqa: B018


def test_every_source_folder_is_packaged():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {
        ".".join(["videolm", *path.parent.relative_to(ROOT).parts])
        for path in source_files("*.py")
    }
    assert folders | {"videolm", "videolm.configs", "videolm.pretrained"} == listed
    assert all((ROOT / Path(*name.split(".")[1:])).is_dir() for name in listed)


@pytest.mark.long
def test_the_wheel_holds_sources_configs_templates_and_the_packaged_model(tmp_path):
    # From a copy, as a build leaves files in its source; no isolation, as it needs setuptools alone.
    source = tmp_path / "source"
    skipped = shutil.ignore_patterns(".*", "runs", "build", "dist", "tests", "benchmarks", "__pycache__")
    shutil.copytree(ROOT, source, ignore=skipped)
    model_files = {"config.json", "README.md", "lm/model.safetensors", "text_tokenizer/spiece.model"}
    for name, files in {"shapes": {*model_files, "lm/own.py"}, "sprites": model_files}.items():
        for file in files:
            path = source / "pretrained" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*command, "--disable-pip-version-check", "--wheel-dir", str(tmp_path), str(source))
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {f"videolm/{path.relative_to(ROOT)}" for path in (ROOT / "configs").rglob("*.yaml")}
    assert configs and configs <= names
    templates = {f"videolm/{path.relative_to(ROOT)}" for path in source_files("*.jinja")}
    assert templates and templates <= names
    assert "videolm/tasks/definitions/text_to_video.py" in names
    packaged = {f"videolm/pretrained/shapes/{file}" for file in model_files}
    assert packaged <= names
    assert not [name for name in names if "sprites/" in name or name.endswith("/own.py")]
    assert not [name for name in names if "/tests/" in name or name.startswith("tests")]


def test_constraints_pin_every_dependency_and_name_no_address():
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in text.splitlines() if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["app"], *extras["docs"], *extras["world"], *extras["dev"]]
    names = {requirement.split("[")[0].split(">")[0].split("=")[0].strip().lower() for requirement in needed}
    assert names - {"videolm"} <= pinned, names - pinned
