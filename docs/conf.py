"""The site of these pages: `make docs` builds it into build/docs, without a network, and any warning ends it.

The source is the root of the repository, so that pages link to measurements, examples and code as they do on
a code-hosting page, and these links are checked.
"""

from typing import Any

from videolm import __version__

project = "videolm"
author = "the authors of videolm"
copyright = "the authors of videolm, Apache-2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    "docs/**", "benchmarks/README.md", "benchmarks/RESULTS.md", "benchmarks/results/*.md",
    "CHANGELOG.md", "CONTRIBUTING.md",
]  # fmt: skip
exclude_patterns = [".*", "build", "dist", "runs"]

myst_heading_anchors = 4
default_role = "code"  # docstrings mark names by single backticks
autodoc_default_options = {"members": True}
autodoc_inherit_docstrings = False  # not what Lightning says of a hook
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
add_module_names = False
python_maximum_signature_line_length = 90
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"videolm {__version__}"
html_extra_path = ["first"]  # index.html of the whole site, which leads to docs/index.html
html_show_sphinx = False


def setup(app: Any) -> None:
    """Properties are shown as they are written: Napoleon takes what stands before a colon for their type."""
    written: dict[str, list[str]] = {}

    def keep(_: Any, what: str, name: str, __: Any, ___: Any, lines: list[str]) -> None:
        if what == "property":
            written[name] = list(lines)

    def restore(_: Any, what: str, name: str, __: Any, ___: Any, lines: list[str]) -> None:
        if what == "property":
            lines[:] = written.pop(name)

    app.connect("autodoc-process-docstring", keep, priority=400)  # Napoleon's is 500
    app.connect("autodoc-process-docstring", restore, priority=600)
