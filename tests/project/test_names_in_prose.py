"""Files that docstrings, comments and documents name are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("data", "training", "tokenizers", "lm", "tasks", "generation", "evaluation", "app", "cli")
FOLDERS = (*ROOMS, "tests", "benchmarks", "configs", "docs")
TEXTS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(each for folder in FOLDERS for each in (ROOT / folder).rglob("*")))
    if path.suffix in (".py", ".md", ".yaml") and path.is_file()
)
NAME = re.compile(r"(?<![\w/.{}*-])((?:[a-z0-9_]+/)*[a-z0-9_]+\.py)\b")
# Names of a reader's own files, and of others' programs.
OTHERS = {"x.py", "mine.py", "own.py", "setup.py", "numpy.py"}


def names_in(path: Path) -> set[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":  # what is a value may name a file that a test makes
        text = "\n".join([*re.findall(r'"""(.*?)"""', text, re.S), *re.findall(r"#.*", text)])
    return set(NAME.findall(text)) - OTHERS


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_are_there(path: Path):
    beside = (path.parent, *path.parent.parents)
    for name in names_in(path):
        places = [folder / name for folder in beside if ROOT in (folder, *folder.parents)]
        assert any(place.is_file() for place in places) or list(ROOT.glob(f"[a-z]*/**/{name}")), name
