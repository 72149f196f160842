"""A function as a command: its signature and docstring are its help, a user's mistake is one line."""

import sys
from collections.abc import Callable
from pathlib import Path

from jsonargparse import ArgumentError

from videolm.cli.main import call, one_line


def run_command(command: Callable[..., list[Path] | None], program: str) -> None:
    """Call it with the arguments of this process; exit code 2 after a mistake."""
    try:
        for path in call(command, program, sys.argv[1:]) or ():
            print(f"wrote {path}")
    except (ValueError, OSError, ArgumentError) as error:
        print(f"{program}: error: {one_line(error)}", file=sys.stderr)
        sys.exit(2)
