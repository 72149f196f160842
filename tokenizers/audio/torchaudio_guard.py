"""Imports that survive a torchaudio whose compiled part cannot be loaded.

The package `encodec` brings torchaudio along, and PyPI's builds of it are linked to CUDA. Beside a CPU build
of PyTorch `import torchaudio` then ends in an OSError about libc10_cuda.so, and so does every import that
only tries it, such as that of transformers' `MimiModel`. torchaudio itself can do without that part: it asks
a few flags of `torchaudio._extension`, the one module that loads it.
"""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Any

_MODULE = "torchaudio._extension"


def tolerate_torchaudio() -> None:
    """From now on, `import torchaudio` goes on without its compiled part where that cannot be loaded.

    Where it can, nothing changes. To be called before the first import that may reach torchaudio.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    # `path` is a list, or what stands for one in a package without an __init__.py.
    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == _MODULE else None
        if spec is None or spec.origin is None:
            return None
        folders = spec.submodule_search_locations
        loader = _Loader(fullname, spec.origin)
        return spec_from_file_location(
            fullname, spec.origin, loader=loader, submodule_search_locations=folders
        )


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        try:
            super().exec_module(module)
        except OSError as error:
            self._without_library(module, error)

    def _without_library(self, module: Any, cause: OSError) -> None:
        """What the rest of torchaudio asks of the module, as it is where the compiled part was left out."""

        def unavailable(*_: Any, **__: Any) -> None:
            raise RuntimeError(f"torchaudio's compiled part could not be loaded: {cause}")

        module._IS_TORCHAUDIO_EXT_AVAILABLE = False
        module._IS_ALIGN_AVAILABLE = False
        module.fail_if_no_align = lambda _function: unavailable
