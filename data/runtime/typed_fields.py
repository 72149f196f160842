"""Dataclasses of foreign values: each value has the kind that its field is annotated with, or is refused.

    config = from_fields(LMConfig, read_json(path), str(path))     a stored record
    check_fields(self)                                             in __post_init__

Kinds are those of our configs: int, float (whole numbers are some, NaN and infinities are none), bool, str,
Literal, tuples of these, dictionaries, a union of them, and such a dataclass in turn.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from math import isfinite
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")
_WORDS = {
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    bool: "true or false",
    type(None): "nothing",
}
_MOST_SHOWN = 60


def from_fields(record: type[Record], values: Any, name: str) -> Record:
    """A dataclass of values as JSON gives them; lists become tuples where the field is one.

    Args:
        name: of the file, for the message.

    Raises:
        ValueError: if a field is missing or unknown, of another kind, or out of the range that the dataclass
            itself checks.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{name} holds {shown(values)}; expected an object")
    known = {field.name: field for field in fields(record)}  # pyright: ignore[reportArgumentType]
    if unknown := sorted(map(str, values.keys() - known)):
        raise ValueError(f"{name} has unknown settings {unknown}")
    needed = [
        each.name for each in known.values() if each.default is MISSING and each.default_factory is MISSING
    ]
    if missing := [each for each in needed if each not in values]:
        raise ValueError(f"{name} lacks {', '.join(missing)}")
    try:
        kinds = _kinds(record)
        return record(**{each: _fitted(each, value, kinds[each]) for each, value in values.items()})
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def check_fields(record: Any) -> None:
    """Raise a ValueError that names the first field of a dataclass whose value is of another kind."""
    for name, kind in _kinds(type(record)).items():
        _check(name, getattr(record, name), kind)


def check_least(record: Any, **least: int) -> None:
    """Raise a ValueError if a field, or one of the numbers in it, is below its least value."""
    for name, smallest in least.items():
        value = getattr(record, name)
        if any(each < smallest for each in (value if isinstance(value, tuple) else (value,))):
            raise ValueError(f"{name} is {shown(value)}; expected {smallest} or more")


def shown(value: Any) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


@cache
def _kinds(record: type) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {field.name: hints[field.name] for field in fields(record)}


def _fitted(name: str, value: Any, kind: Any) -> Any:
    if is_dataclass(kind):
        return from_fields(kind, value, name)  # pyright: ignore[reportArgumentType]  a class, no instance
    value = _as_tuple(value) if _may_be_tuple(kind) else value
    _check(name, value, kind)
    return value


def _check(name: str, value: Any, kind: Any) -> None:
    if not _is_of(value, kind):
        raise ValueError(f"{name} is {shown(value)}; expected {_in_words(kind)}")


def _is_of(value: Any, kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, UnionType):
        return any(_is_of(value, each) for each in inner)
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if inner[1:] == (...,):
            return all(_is_of(each, inner[0]) for each in value)
        return len(value) == len(inner) and all(map(_is_of, value, inner))
    if origin is dict:
        return isinstance(value, dict) and all(
            _is_of(key, inner[0]) and _is_of(each, inner[1]) for key, each in value.items()
        )
    if kind is float:
        return type(value) in (int, float) and isfinite(value)
    if kind in (int, bool):
        return type(value) is kind
    return isinstance(value, kind)


def _may_be_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple or any(_may_be_tuple(each) for each in get_args(kind))


def _as_tuple(value: Any) -> Any:
    """JSON has lists only; our records hold tuples."""
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list) else value


def _in_words(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(map(_in_words, inner))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is tuple and inner[1:] == (...,):
        return f"a list, each {_in_words(inner[0])}"
    if origin is tuple:
        return f"a list of {len(inner)}, each {_in_words(inner[0])}"
    if origin is dict:
        return "an object"
    return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))
