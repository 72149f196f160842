"""What of a config may be code: a file may be somebody else's, the command line is the user's own.

    trainer.callbacks: [{class_path: …}]     of a file: a class of `OPEN`
    --trainer.callbacks+=my.module.Class     typed: any class
    data.tasks: {mine.py: 1}                 of a file: refused
    --data.tasks '{"mine.py": 1}'            typed: the file runs

A class is made with any arguments that a file gives it, so that one such as subprocess.Popen is a program;
`OPEN` has our own and those of Lightning that only say how a training runs.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from jsonargparse import set_parsing_settings

OPEN = (
    "videolm",
    *(
        f"{package}.{part}"
        for package in ("lightning.pytorch", "pytorch_lightning")
        for part in ("accelerators", "callbacks", "plugins", "profilers", "strategies")
    ),
)
"""Modules whose classes a file may name."""

# A hook of one's own is a program, wherever the class is that calls it.
_CLOSED = tuple(
    f"{package}.callbacks.{name}"
    for package in ("lightning.pytorch", "pytorch_lightning")
    for name in ("LambdaCallback", "lambda_function")
)
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


def restrict_classes(arguments: Sequence[str]) -> None:
    """From now on files name classes of `OPEN` only, and those that stand in `arguments`."""
    typed = {name for word in _typed(arguments) for name in _DOTTED.findall(word)}
    allowed = sorted(name for name in typed if not name.startswith("jsonargparse"))
    set_parsing_settings(import_path_denylist=["*", *_CLOSED], import_path_allowlist=[*OPEN, *allowed])


def refuse_task_files(tasks: Iterable[str], arguments: Sequence[str] = ()) -> None:
    """Refuse a task's file that no word of the command line names.

    Raises:
        ValueError: if there is one.
    """
    typed = "\n".join(_typed(arguments))
    for name in tasks:
        whole = rf"(?<![\w./\\-]){re.escape(str(name))}(?!\w)"
        if str(name).endswith(".py") and not re.search(whole, typed):
            raise ValueError(
                f"a config names the task {name}, which is a program: one of your own is given on the "
                f"command line, as --data.tasks '{{\"{name}\": 1}}'"
            )


def _typed(arguments: Sequence[str]) -> Iterator[str]:
    """The values on a command line, but for the names of configs."""
    is_config = False
    for word in arguments:
        flag, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        if not is_config and flag not in ("--config", "-c") and value:
            yield value
        is_config = flag in ("--config", "-c") and not equals
