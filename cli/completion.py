"""Shell completion: the table of commands as a parser that shtab writes a script for.

    videolm completion bash > ~/.local/share/bash-completion/completions/videolm
    videolm completion zsh > "${fpath[1]}/_videolm"
"""

import argparse
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from .arguments import options_of
from .config_files import packaged_names

Shell = Literal["bash", "zsh", "tcsh"]
_SWITCHES = ("--help", "--debug", "--confine")
_OF_FIT = ("--out", "--init-from", "--data.source", "--data.shards")  # of those that Lightning's CLI parses


def completion_script(commands: Mapping[str, Callable[..., Any]], shell: Shell) -> str:
    """What a shell reads to complete commands, options, names of configs and files.

    Args:
        commands: name, of one word or two, to function.
    """
    import shtab

    return shtab.complete(_parser(commands), shell)


def _parser(commands: Mapping[str, Callable[..., Any]]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("videolm", add_help=False)
    top = parser.add_subparsers()
    groups: dict[str, Any] = {}
    for name in sorted(commands):  # "sampling" comes before "sampling search", which it holds
        first, _, second = name.partition(" ")
        summary = inspect.cleandoc(commands[name].__doc__ or "").splitlines()[0].replace("%", "%%")
        if second and first not in groups:
            group = top.add_parser(first, help=f"commands of {first}", add_help=False)
            groups[first] = group.add_subparsers()
        own = (groups[first] if second else top).add_parser(second or first, help=summary, add_help=False)
        holds_others = not second and any(each.startswith(f"{first} ") for each in commands)
        _add_options(own, name, commands[name], with_words=not holds_others)
        if holds_others:
            groups[first] = own.add_subparsers()
    return parser


def _add_options(
    parser: argparse.ArgumentParser, name: str, command: Callable[..., Any], with_words: bool
) -> None:
    for switch in _SWITCHES:
        parser.add_argument(switch, action="store_true")
    if "arguments" in inspect.signature(command).parameters:
        parser.add_argument("--config", choices=packaged_names(name.split()[0]))
        options = dict.fromkeys(_OF_FIT, Path)
    else:
        options = options_of(command)
    for option, kind in options.items():
        if not (option.startswith("--") or with_words):
            continue
        kinds = [kind, *get_args(kind)]
        choices = next((get_args(each) for each in kinds if get_origin(each) is Literal), None)
        action = parser.add_argument(option, choices=choices)
        if choices is None and (Path in kinds or option == "--model"):
            import shtab

            action.complete = shtab.FILE  # pyright: ignore[reportAttributeAccessIssue]  shtab's own field
