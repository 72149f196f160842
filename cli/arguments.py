"""A command line parsed into the arguments of a function, whose signature and docstring are its help.

A parameter that is a record (a frozen dataclass) stands for options of the names of its fields:

    def generate(*, out: Path, sampling: Sampling) -> list[Path]: …
    videolm generate --out x.mp4 --temperature 0.5

`Annotated[ClipSelection, Options(skip=("height", "width"), num_frames=17)]` leaves out fields and gives
others their default in this command. The record's docstring explains its options; its first line is their
title in the help.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


class Options:
    """Which fields of a record are options of a command, and their defaults there.

    Args:
        skip: fields that are no options.
        defaults: of fields, in place of the record's own; for a skipped one this is its value.
    """

    def __init__(self, *, skip: tuple[str, ...] = (), **defaults: Any):
        self.skip, self.defaults = set(skip), defaults


def parse(command: Callable[..., Any], program: str, words: list[str]) -> dict[str, Any]:
    """The arguments of `command` in `words`.

    Raises:
        jsonargparse.ArgumentError: if they do not fit the signature.
        ValueError: if a record refuses its values.
    """
    records = _records(command)
    given_words = _with_values(as_parsed(words), command, records)
    values = _parser(command, program, records).parse_args(given_words).as_dict()
    for name, (record, options) in records.items():
        # A skipped field may be the name of a parameter of the command itself, which keeps its value.
        own = {field.name for field in fields(record)} - options.skip
        given = {field: values.pop(field) for field in own & values.keys()}
        values[name] = record(**options.defaults | given)
    return values


def help_of(command: Callable[..., Any], program: str) -> str:
    """What the signature and the docstrings say, in a user's words: options as they are typed, no nulls."""
    text = _parser(command, program, _records(command)).format_help()
    text = re.sub(r"--\w+", lambda match: match[0].replace("_", "-"), text)
    text = re.sub(r"\s+\|\s+null,\s+default:\s+null\)", ")", text)
    return re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text)


def options_of(command: Callable[..., Any]) -> dict[str, Any]:
    """What a command takes, as it is typed, with the types of the values: --top-p, or a word without dashes
    for what has a place."""
    records = _records(command)
    found = {}
    for name, parameter in inspect.signature(command).parameters.items():
        if name in records:
            record, options = records[name]
            shown = [field for field in fields(record) if field.name not in options.skip]
            found |= {f"--{field.name.replace('_', '-')}": field.type for field in shown}
        else:
            has_place = parameter.default is parameter.empty and parameter.kind != parameter.KEYWORD_ONLY
            found[name if has_place else f"--{name.replace('_', '-')}"] = parameter.annotation
    return found


def _parser(
    command: Callable[..., Any], program: str, records: dict[str, tuple[Any, Options]]
) -> "ArgumentParser":
    from jsonargparse import ArgumentParser

    description = inspect.cleandoc(command.__doc__ or "").split("\nArgs:")[0].strip()
    parser = ArgumentParser(prog=program, description=description, exit_on_error=False)
    parser.add_function_arguments(command, as_positional=True, as_group=False, skip=set(records))
    for record, options in records.values():
        skipped: set[str | int] = {*options.skip}
        parser.add_class_arguments(record, as_positional=True, as_group=True, skip=skipped)
        parser.set_defaults({name: options.defaults[name] for name in options.defaults.keys() - options.skip})
    return parser


def as_parsed(words: list[str]) -> list[str]:
    """Options as jsonargparse wants them: --top-p is --top_p; those given several times end in +."""
    result = []
    for word in words:
        option, equals, value = word.partition("=")
        if option.startswith("--"):
            option = "--" + option[2:].replace("-", "_")
        if option in ("--where", "--data.where", "--pad", "--data.pad"):
            option += "+"
        result.append(option + equals + value if option.startswith("--") else word)
    return result


def _records(command: Callable[..., Any]) -> dict[str, tuple[Any, Options]]:
    """The parameters of a function that are records: their class, and which fields are options."""
    found = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind, options = parameter.annotation, Options()
        if get_origin(kind) is Annotated:
            kind, *notes = get_args(kind)
            options = next((note for note in notes if isinstance(note, Options)), options)
        if is_dataclass(kind):
            found[name] = (kind, options)
    return found


def _with_values(
    words: list[str], command: Callable[..., Any], records: dict[str, tuple[Any, Options]]
) -> list[str]:
    """Switches as --name=value: one that no true or false follows is true, whatever else follows it."""
    kinds = {name: each.annotation for name, each in inspect.signature(command).parameters.items()}
    for record, _ in records.values():
        kinds |= {field.name: field.type for field in fields(record)}

    def is_switch(word: str) -> bool:
        return word.startswith("--") and kinds.get(word[2:]) is bool

    result: list[str] = []
    for word in words:
        if word in ("true", "false") and result and is_switch(result[-1]):
            result[-1] += f"={word}"
        else:
            result.append(word)
    return [f"{word}=true" if is_switch(word) else word for word in result]
