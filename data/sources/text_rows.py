"""Rows of text files: CSV and TSV with their many dialects, lists of names, and JSON in its forms.

`read_rows` is for any command that takes a table; what its columns mean is left to that command.
"""

import csv
import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from .columns import is_known, squeezed, typed
from .entry import MEDIA_SUFFIXES

_DELIMITERS = (",", ";", "\t", "|")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_MOST_CHARACTERS = 2**20  # of a cell
# Columns whose cells stay texts, even if they look like numbers.
_TEXTS = ("path", "filename", "file", "video", "videoid", "id", "name", "pagedir", "group", "class")
_TEXTS += ("caption", "text", "prompt", "description", "sentence", "longcaption", "youtubeid")
_WRAPPERS = ("data", "annotations", "videos", "items", "samples", "clips", "images")
# A name of a media file, and what stands behind it: a caption or the number of a class.
_NAMED = re.compile(rf"(.*?(?:{'|'.join(map(re.escape, MEDIA_SUFFIXES))}))(?:[\s,;|]+(.*))?", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Args:
        label: where it is in its file.
        values: by the names of the columns.
        problem: why it has no values.
        load: reads the content of its file, if that is in the table.
    """

    label: str
    values: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    load: Callable[[], bytes] | None = None


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a .csv, .tsv, .txt, .json, .jsonl or .ndjson file; those that are wrong have a problem.

    Raises:
        ValueError: if the file as a whole is none of its kind.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv"):
            yield from _separated(path, _DELIMITERS if suffix == ".csv" else ("\t",))
        elif suffix == ".txt":
            yield from _names(path)
        else:
            yield from _json_rows(path)
    except UnicodeError as error:
        raise ValueError(f"{path} is not a text file ({error})") from error


def text_lines(path: Path) -> list[str]:
    """The lines of a text without their ends; what is not UTF-8 becomes halves of characters."""
    with _open(path) as file:
        return file.read().removesuffix("\n").split("\n")


def _open(path: Path, newline: str | None = None) -> TextIO:
    with path.open("rb") as file:
        head = file.read(4096)
    is_utf16 = head.startswith(_UTF16)
    if b"\0" in head and not is_utf16:
        raise ValueError(f"{path} is not a text file")
    if is_utf16:
        return path.open(encoding="utf-16", newline=newline)
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline=newline)


class _Lines(Iterator[str]):
    """The lines of a file, some of which can be read again."""

    def __init__(self, file: TextIO):
        self.file, self.waiting = file, deque[str]()
        self.taken: list[str] = []
        self.number = 0

    def __next__(self) -> str:
        line = self.waiting.popleft() if self.waiting else next(self.file)
        self.taken.append(line)
        self.number += 1
        return line

    def give_back(self, count: int) -> None:
        if count:
            self.waiting.extendleft(reversed(self.taken[-count:]))
            self.number -= count


def _separated(path: Path, delimiters: Sequence[str]) -> Iterator[Row]:
    """Rows of cells under the names of the first line.

    A row that is wrong and has a line end in quotes may have taken its neighbours in with a quote too many:
    they are read again without its first line.
    """
    before = csv.field_size_limit(_MOST_CHARACTERS)
    try:
        with _open(path, newline="") as file:
            lines = _Lines(file)
            delimiter, names = _header(lines, delimiters)
            yield from _cells(lines, delimiter, names)
    finally:
        csv.field_size_limit(before)


def _cells(lines: _Lines, delimiter: str, names: Sequence[str]) -> Iterator[Row]:
    while True:
        lines.taken.clear()
        label = f"line {lines.number + 1}"
        try:
            cells = next(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
        except StopIteration:
            return
        except csv.Error as error:
            lines.give_back(len(lines.taken) - 1)
            yield Row(label, problem=str(error))
            continue
        cells = [cell.strip() for cell in cells]
        while len(cells) > len(names) and not cells[-1]:
            cells.pop()
        if not any(cells):
            continue
        if len(cells) != len(names):
            lines.give_back(len(lines.taken) - 1)
            yield Row(label, problem="it has another number of cells than the first line has names")
            continue
        row = {name: _cell(name, cell) for name, cell in zip(names, cells, strict=True) if name and cell}
        yield Row(label, row)


def _header(lines: _Lines, delimiters: Sequence[str]) -> tuple[str, list[str]]:
    """The delimiter, and names of the columns; where the first line is a clip already, path and caption."""
    first = next((line for line in lines if line.strip()), "")
    found: list[tuple[int, str, list[str]]] = []
    for delimiter in delimiters:
        parsed = next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), [])
        names = [name.strip() for name in parsed]
        while names and not names[-1]:
            names.pop()
        found.append((sum(map(is_known, names)), delimiter, names))
    known, delimiter, names = max(found, key=lambda each: each[0])
    if not known:
        for _, delimiter, names in found:
            if names and Path(names[0]).suffix.lower() in MEDIA_SUFFIXES:
                lines.give_back(1)
                return delimiter, ["path", "caption", *map(str, range(3, len(names) + 1))][: len(names)]
    return delimiter, names


def _cell(name: str, cell: str) -> Any:
    return cell if squeezed(name) in _TEXTS else typed(cell)


def _names(path: Path) -> Iterator[Row]:
    """A name of a media file on each line, and its caption or the number of its class if there is one."""
    for number, line in enumerate(text_lines(path), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        named = _NAMED.fullmatch(line)
        if named is None:
            yield Row(f"line {number}", problem=f"{line[:60]!r} names no media file")
            continue
        name, rest = named.groups()
        key = "label" if (rest or "").isdecimal() else "caption"
        yield Row(
            f"line {number}",
            {"path": name} | ({key: typed(rest) if key == "label" else rest} if rest else {}),
        )


def _json_rows(path: Path) -> Iterator[Row]:
    """An object a line, or one value that holds all of them."""
    with _open(path) as file:
        text = file.read()
    if path.suffix.lower() == ".json" or text.lstrip().startswith("["):
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError):
            whole = None  # objects a line, or the lines say what is wrong
        if isinstance(whole, list | dict):
            yield from (_object(label, value) for label, value in _items(whole))
            return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield Row(f"line {number}", json_object(line))
            except ValueError as error:
                yield Row(f"line {number}", problem=_said_of(line) or str(error))


def _items(whole: Any) -> Iterator[tuple[str, Any]]:
    """The rows of an array, an object of arrays or of objects, or an object that holds an array."""
    if isinstance(whole, dict):
        wrapped = next((whole[name] for name in _WRAPPERS if _is_rows(whole.get(name))), None)
        if wrapped is not None:
            whole = wrapped
        elif whole and all(isinstance(each, list) for each in whole.values()):
            if len({len(each) for each in whole.values()}) > 1:
                lengths = ", ".join(f"{name} has {len(each)}" for name, each in whole.items())
                raise ValueError(f"its arrays are of different lengths: {lengths}")
            columns = whole.values()
            whole = [dict(zip(whole, each, strict=True)) for each in zip(*columns, strict=True)]
        elif whole and all(isinstance(each, dict) for each in whole.values()):
            yield from ((f"item {name!r}", {"id": name} | value) for name, value in whole.items())
            return
        else:
            whole = [whole]
    yield from ((f"item {number}", value) for number, value in enumerate(whole, start=1))


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _object(label: str, value: Any) -> Row:
    if isinstance(value, dict):
        return Row(label, value)
    return Row(label, problem=_no_object(value))


def json_object(text: str) -> dict[str, Any]:
    """The one object of a JSON text.

    Raises:
        ValueError: if it is another text.
    """
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError(_no_object(values))
    return values


def _no_object(value: Any) -> str:
    return f'expected an object such as {{"path": "a.mp4"}}, not {str(value)[:60]!r}'


def _said_of(line: str) -> str:
    """What is wrong with a line that is no JSON because it is no text."""
    wrong = next((each for each in line if "\udc80" <= each <= "\udcff"), "")
    return f"it is not UTF-8 (byte {ord(wrong) - 0xDC00:#x})" if wrong else ""
