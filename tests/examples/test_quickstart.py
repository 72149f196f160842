"""The notebook runs from top to bottom on the packaged model, and its clips show themselves."""

import ast
import json
from pathlib import Path

import pytest

from videolm import Clip

NOTEBOOK = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"


def code_cells():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run_cell(source, names):
    """Run a cell; gives the value of its last line if that is an expression, as a notebook shows it."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)


@pytest.mark.filterwarnings("ignore::videolm.data.runtime.notes.Note")
def test_every_cell_runs_after_the_ones_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    shown = [run_cell(source, names) for source in code_cells()]
    clips = [each for each in shown if isinstance(each, Clip)]
    assert len(clips) == len(shown) - 1, "every cell but that of the model shows a clip"
    assert all("<video" in clip._repr_html_() for clip in clips)
    assert (tmp_path / "red.mp4").is_file()


def test_the_notebook_is_kept_without_outputs():
    assert all(not cell.get("outputs") for cell in json.loads(NOTEBOOK.read_text())["cells"])
