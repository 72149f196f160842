"""Every place where a file could become code is one of the few that are known: read off the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("data", "training", "tokenizers", "lm", "tasks", "generation", "evaluation", "app", "cli")
SOURCES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
# Calls that can run what a file holds -> the only files that make them, and why that is safe.
KNOWN = {
    "pickle.loads": {"data/runtime/workers.py"},  # of the parent process, through a pipe
    "torch.jit.load": {"evaluation/metrics/weights_folder.py"},  # with --trust only
    # A path that is typed; an installed library.
    "exec_module": {"tasks/task.py", "tokenizers/audio/torchaudio_guard.py"},
}
NEVER = {"eval", "exec", "compile", "pickle.load", "yaml.load", "yaml.full_load", "yaml.unsafe_load"}
NEVER |= {"os.system", "marshal.loads", "shelve.open", "joblib.load", "runpy.run_path"}
# Calls that are safe with an argument.
WITH = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}


def calls(path: Path) -> list[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [each for each in ast.walk(tree) if isinstance(each, ast.Call)]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_what_runs_code_stands_where_it_is_known(name):
    found = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for call in calls(path)
        if ast.unparse(call.func) == name or ast.unparse(call.func).endswith(f".{name}")
    }
    assert found == KNOWN[name]


def test_nothing_else_runs_the_content_of_a_file():
    checked = 0
    for path in SOURCES:
        for call in calls(path):
            function = ast.unparse(call.func)
            assert function not in NEVER, f"{path}:{call.lineno}"
            if function in WITH:
                name, value = WITH[function]
                given = {each.arg: each.value for each in call.keywords}
                assert ast.unparse(given[name]) == str(value), f"{path}:{call.lineno}"
                checked += 1
    assert checked >= 4
