"""Where the processes that we start import from: never from the folder that the user happens to stand in.

Python puts the current folder first on the path of `python -c …`, which is how workers are started. A
downloaded data set may hold a numpy.py, which would then run as the user who stands in its folder.
"""

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]


def import_path() -> list[str]:
    """The folders that this process imports from, without the current one.

    It stays only where the package itself was started from it (`python -m videolm.cli.main` in its parent).
    """
    current = Path.cwd()
    named = [Path(each) for each in sys.path if each]
    return [str(each) for each in named if each.resolve() != current or (each / _PACKAGE.name) == _PACKAGE]


def isolated_environment() -> dict[str, str]:
    """Environment variables of a process to start: it imports from `import_path` and nowhere else."""
    return {**os.environ, **_SAFE, "PYTHONPATH": os.pathsep.join(import_path())}


def isolate_children() -> None:
    """From now on no Python that this process starts, by whatever library, looks into the current folder."""
    os.environ.update(_SAFE)


_SAFE = {"PYTHONSAFEPATH": "1"}
