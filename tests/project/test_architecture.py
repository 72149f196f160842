"""The rules that keep the parts apart, read off the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("data", "tokenizers", "lm", "tasks")
MAY_IMPORT = {
    "data": {"data"},
    "tokenizers": {"tokenizers", "data"},
    "lm": {"lm", "data"},
    "tasks": {"tasks", "lm", "tokenizers", "data"},
}
SOURCES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


def imports(path: Path, nodes: list[ast.stmt] | None = None) -> list[str]:
    """Absolute names of the modules that a file imports; of the package's own, `videolm.layer…`."""
    package = ["videolm", *path.relative_to(ROOT).parts[:-1]]
    names = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if nodes is None else nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            names.append(".".join([*base, *([node.module] if node.module else [])]))
    return names


def top_level_imports(path: Path) -> list[str]:
    return imports(path, ast.parse(path.read_text(encoding="utf-8")).body)


def identify(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_are_sources():
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", SOURCES, ids=identify)
def test_layers_import_only_what_stands_below(path):
    layer = path.relative_to(ROOT).parts[0]
    for name in imports(path):
        if name.startswith("videolm."):
            assert name.split(".")[1] in MAY_IMPORT[layer], f"{layer} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=identify)
def test_imports_within_the_package_are_relative(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    absolute = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    assert not [name for name in absolute if name and name.split(".")[0] == "videolm"]


@pytest.mark.parametrize("path", SOURCES, ids=identify)
def test_transformers_is_imported_only_where_it_is_used(path):
    assert not [name for name in top_level_imports(path) if name.split(".")[0] == "transformers"]


def test_only_the_files_named_media_import_the_decoder():
    users = {identify(path) for path in SOURCES if any(name.split(".")[0] == "av" for name in imports(path))}
    assert users and all(name.startswith("data/media_") for name in users), users


@pytest.mark.parametrize("layer", [*LAYERS, "tests"])
def test_layer_folders_have_no_init(layer):
    # With one there, `import tokenizers` from the repository root would find ours, not Hugging Face's.
    assert not list((ROOT / layer).rglob("__init__.py"))
