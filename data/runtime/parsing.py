"""JSON and YAML of anybody's files: parsed within bounds, or refused in one line.

    values = parse_json(bounded_text(path), str(path))
    values = parse_yaml(bounded_text(path), str(path))

A file is refused before it is read if it is larger than what it may hold, YAML before it is built if its
aliases stand for too much, and both if they are nested too deeply, have whole numbers of more than 128 bits
or half a character (a lone surrogate, which no file and no terminal takes).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# JSON of so many bytes takes at most some 20 times as many in memory.
MOST_BYTES = 2**26
_MOST_LEVELS = 100
_MOST_NODES = 200_000  # of YAML with all aliases written out
_MOST_BITS = 128  # identifiers have so many


def bounded_text(path: Path, most: int = MOST_BYTES) -> str:
    """The text of a file of at most so many bytes, without a byte-order mark.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is larger, or no UTF-8.
    """
    with path.open("rb") as file:
        data = file.read(most + 1) if (size := path.stat().st_size) <= most else b""
    if max(size, len(data)) > most:
        raise ValueError(f"{path} has more than the {most:,} bytes that are read of it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error


def parse_json(text: str, name: str) -> Any:
    """The value of a JSON text.

    Args:
        name: of the file, for the message.

    Raises:
        ValueError: if it is no JSON, or out of bounds.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{name} is nested more than {_MOST_LEVELS} levels deep") from error
    except ValueError as error:
        raise ValueError(f"{name} is not valid JSON: {error}") from error
    check_values(value, name)
    return value


def parse_yaml(text: str, name: str) -> Any:
    """The value of a YAML text of plain types; errors as `parse_json`."""
    import yaml

    loader = None
    try:
        loader = yaml.SafeLoader(text)  # which refuses control characters at once
        node = loader.get_single_node()
        if node is None:
            return None
        _Extent().measure(node)
        value = loader.construct_document(node)
    except RecursionError as error:
        raise ValueError(f"{name} is nested more than {_MOST_LEVELS} levels deep") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} is not YAML: {' '.join(str(error).split())}") from error
    finally:
        if loader is not None:
            loader.dispose()
    check_values(value, name)
    return value


def check_values(value: Any, name: str) -> None:
    """Raise a ValueError if there is something in a parsed value that cannot be used anywhere."""
    level = [value]
    for _ in range(_MOST_LEVELS):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += each.keys()
                inner += each.values()
            elif isinstance(each, list):
                inner += each
            elif problem := _problem_of(each):
                raise ValueError(f"{name} has {problem}")
        if not inner:
            return
        level = inner
    raise ValueError(f"{name} is nested more than {_MOST_LEVELS} levels deep")


def _problem_of(value: Any) -> str:
    if isinstance(value, str) and not value.isascii():
        lone = next((each for each in value if "\ud800" <= each <= "\udfff"), None)
        return "" if lone is None else f"{lone!r}, which is no character"
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return f"a whole number of {value.bit_length()} bits; at most {_MOST_BITS} are read"
    return ""


class _Extent:
    """How large the nodes of a YAML text are with all aliases written out: their number and levels."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[int, int] | None] = {}

    def measure(self, node: Any) -> tuple[int, int]:
        if id(node) in self.known:
            found = self.known[id(node)]
            if found is None:
                raise ValueError("an alias stands inside of what it stands for")
            return found
        self.known[id(node)] = None
        nodes, levels = 1, 0
        for inner in _inner(node):
            more, below = self.measure(inner)
            nodes, levels = nodes + more, max(levels, below)
            if nodes > _MOST_NODES:
                raise ValueError(f"its aliases stand for more than {_MOST_NODES:,} values")
        if levels >= _MOST_LEVELS:
            raise ValueError(f"it is nested more than {_MOST_LEVELS} levels deep")
        self.known[id(node)] = (nodes, levels + 1)
        return nodes, levels + 1


def _inner(node: Any) -> Iterator[Any]:
    if node.id == "sequence":
        yield from node.value
    elif node.id == "mapping":
        for pair in node.value:
            yield from pair
