"""Where this program and the processes that it starts import from: never from the folder that the user
happens to stand in.

Python puts the current folder first on the path of `python -c …` and `python -m …`, and in the place of an
empty part of PYTHONPATH. A downloaded data set may hold a numpy.py, which would then run as the user who
stands in its folder.
"""

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]
_SAFE = {"PYTHONSAFEPATH": "1"}


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


def isolate() -> None:
    """From now on neither this process nor any Python that it starts, by whatever library, looks into the
    current folder, unless the user named it: as the folder of the program, or whole in PYTHONPATH."""
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    whole = [part for part in parts if os.path.isabs(part)]
    program = getattr(sys.modules["__main__"], "__file__", None)
    named = {Path(each).resolve() for each in whole}
    if program is not None:
        named.add(Path(program).resolve().parent)
    if Path.cwd() not in named:
        sys.path[:] = import_path()
    os.environ.update(_SAFE)
    if "PYTHONPATH" in os.environ:
        os.environ["PYTHONPATH"] = os.pathsep.join(whole)
