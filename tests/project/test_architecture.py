"""The rules that keep the rooms apart, read off the sources. `ROOMS` is the list of directions: a file may
import files of its own room and of the rooms above it in the list, of no others."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "data/runtime",
    "data/media",
    "data/environments",
    "data/sources",
    "data/synthetic",
    "data/analysis",
    "data/codes",
    "data/loading",
    "data/curation",
    "training",
    "tokenizers",
    "lm",
    "super_resolution",
    "tasks",
    "generation",
    "evaluation",
    "app",
    "cli",
)
# Neighbours in the list that do not know each other, in either direction.
STRANGERS = {("lm", "tokenizers")}
# A room that may import a later one or a stranger, file by file, would be listed here. There is none.
HOUSE = sorted({room.split("/")[0] for room in ROOMS})
SOURCES = [path for part in HOUSE for path in sorted((ROOT / part).rglob("*.py"))]
# What generation loads with the language model, and what only training needs.
OF_GENERATION = ("lm/model/", "lm/decoding/", "lm/batch.py", "lm/vocabulary.py")
OF_TRAINING = {"lightning", "torchdata", "matplotlib"}
MOST_LINES = 400
MOST_LINES_OF_A_BODY = 60


def identify(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room_of(file: str) -> str:
    """The room of a file, given from the root on."""
    return next((room for room in ROOMS if file.startswith(room + "/")), "")


def imports(path: Path, nodes: list[ast.stmt] | None = None) -> list[str]:
    """Absolute names of the modules that a file imports; of the package's own, `videolm.room…`."""
    package = ["videolm", *path.relative_to(ROOT).parts[:-1]]
    names = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if nodes is None else nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            inner = [f"{module}.{alias.name}" for alias in node.names]
            names += [each for each in inner if _file(each)] or [module]
    return names


def _file(name: str) -> Path | None:
    path = ROOT.joinpath(*name.split(".")[1:]).with_suffix(".py")
    return path if name.startswith("videolm.") and path.is_file() else None


def files_imported(path: Path) -> set[str]:
    return {identify(file) for name in imports(path) if (file := _file(name))}


def top_level_imports(path: Path) -> list[str]:
    return imports(path, ast.parse(path.read_text(encoding="utf-8")).body)


def loaded_with(path: Path) -> set[Path]:
    """The file, and those of the package that are imported with it."""
    found, waiting = set(), [path]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [inner for name in top_level_imports(file) if (inner := _file(name))]
    return found


def test_there_are_sources():
    assert len(SOURCES) > 200


def test_every_source_stands_in_a_room():
    assert not [identify(path) for path in SOURCES if not room_of(identify(path))]
    folders = {path.relative_to(ROOT).parts[0] for path in ROOT.glob("*/*.py")}
    assert folders - {"tests", "benchmarks", "docs", "examples"} <= set(HOUSE)


@pytest.mark.parametrize("path", SOURCES, ids=identify)
def test_a_file_imports_only_from_its_own_room_and_those_above(path):
    own = room_of(identify(path))
    for file in files_imported(path):
        room = room_of(file)
        assert ROOMS.index(room) <= ROOMS.index(own), f"{own} imports {file}"
        assert tuple(sorted((own, room))) not in STRANGERS, f"{own} imports {file}"


def test_no_files_import_each_other_in_a_circle():
    graph = {identify(path): files_imported(path) - {identify(path)} for path in SOURCES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("path", SOURCES, ids=identify)
def test_imports_within_the_package_are_relative(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    absolute = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    assert not [name for name in absolute if name and name.split(".")[0] == "videolm"]


@pytest.mark.parametrize("path", SOURCES, ids=identify)
def test_transformers_is_imported_only_where_it_is_used(path):
    assert not [name for name in top_level_imports(path) if name.split(".")[0] == "transformers"]


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if identify(path).startswith(OF_GENERATION)], ids=identify
)
def test_generating_ids_loads_nothing_that_only_training_needs(path):
    users = {
        identify(file): packages
        for file in loaded_with(path)
        if (packages := {name.split(".")[0] for name in top_level_imports(file)} & OF_TRAINING)
    }
    assert not users


def test_only_the_media_room_imports_the_decoder():
    users = {identify(path) for path in SOURCES if any(name.split(".")[0] == "av" for name in imports(path))}
    assert users and all(name.startswith("data/media/") for name in users), users


@pytest.mark.parametrize("part", [*HOUSE, "tests"])
def test_folders_have_no_init(part):
    # With one there, `import tokenizers` from the repository root would find ours, not Hugging Face's.
    assert not list((ROOT / part).rglob("__init__.py"))


def test_tests_mirror_the_rooms():
    folders = {identify(path.parent)[len("tests/") :] for path in (ROOT / "tests").rglob("test_*.py")}
    assert not [folder for folder in folders - {"project"} if not (ROOT / folder).is_dir()]


@pytest.mark.parametrize("path", SOURCES, ids=identify)
def test_files_and_functions_can_be_read_at_once(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    long = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            if node.body[-1].end_lineno - first.lineno + 1 > MOST_LINES_OF_A_BODY:
                long.append(node.name)
    assert not long


def _calls_of_transformers(path: Path) -> list[ast.Call]:
    """Calls of `from_pretrained` on what a file imports from transformers, or gets from it by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    theirs = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "transformers"
        for alias in node.names
    }
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "from_pretrained"
        and (ast.unparse(node.func.value) in theirs or "getattr(transformers" in ast.unparse(node.func.value))
    ]


def test_what_users_are_warned_of_goes_through_notify():
    """A warning of another kind shows a line of our code (data/runtime/notes.py)."""
    warns = re.compile(r"\bwarnings\.warn\(|from warnings import .*warn\b|rank_zero_warn\(")
    assert not [identify(path) for path in SOURCES if warns.search(path.read_text())]


def test_every_loading_by_transformers_refuses_code_of_the_folder():
    calls = [(path, call) for path in SOURCES for call in _calls_of_transformers(path)]
    assert len(calls) > 10
    for path, call in calls:
        unpacked = {ast.unparse(each.value) for each in call.keywords if each.arg is None}
        assert unpacked & {"LOCAL", "LOCAL_WEIGHTS", "NO_CODE"}, f"{identify(path)}:{call.lineno}"
