"""The records of a file that lists texts or prompts, however it is written.

    .txt                one text a line
    .jsonl .json        an object a line, or one array of objects or texts
    .csv .tsv           a table whose first line names the columns, as the keys of the objects

A byte-order mark means nothing, and lines that begin with # are left out with a warning. Other than in lists
of clips (data/sources/text_rows.py) a wrong line ends the reading, as the names and seeds of those after it
would change, and cells stay texts: a prompt may look like a number.
"""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.runtime.notes import notify
from ..data.runtime.parsing import parse_json
from ..data.sources.columns import squeezed

_TABLES = {".csv": ",", ".tsv": "\t"}
_OBJECTS = (".jsonl", ".ndjson", ".json")
# What other projects call the same.
_ALSO = {"prompt": "text", "caption": "text", "negative_prompt": "negative"}
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class Record:
    """One entry.

    Args:
        where: the file and the number of the line, for messages.
        fields: what it says, by our names.
        is_table: whether it is a row of a table: then all fields are texts, and empty cells are none.
    """

    where: str
    fields: dict[str, Any]
    is_table: bool = False


def read_records(path: Path, known: Iterable[str]) -> list[Record]:
    """The entries of a file in their order.

    Args:
        known: fields there may be. A table's other columns are left out with a warning; in an object
            others are a mistake.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the line that cannot be read.
    """
    names, suffix = tuple(known), path.suffix.lower()
    text = _text(path)
    if suffix in _TABLES:
        records, comments = _of_table(path, text, _TABLES[suffix], names)
    elif suffix in _OBJECTS and text.lstrip().startswith("["):
        records, comments = _of_array(path, text, names), 0
    else:
        lines = [(f"{path}:{number}", line.strip()) for number, line in enumerate(text.split("\n"), start=1)]
        kept = [(where, line) for where, line in lines if line and not line.startswith("#")]
        comments = sum(line.startswith("#") for _, line in lines)
        if suffix in _OBJECTS:
            records = [_of_object(_json(line, where), where, names) for where, line in kept]
        else:
            records = [Record(where, {"text": line}) for where, line in kept]
    if comments:
        which = "1 line that begins with # is" if comments == 1 else f"{comments} lines that begin with # are"
        notify(f"{path}: {which} left out")
    return records


def number_of(text: str, kind: type[int] | type[float], name: str, where: str) -> int | float:
    """A cell of a table as a number.

    Raises:
        ValueError: naming the cell, if it is none.
    """
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ValueError(f"{where} has {name} {text!r}; expected {wanted}") from None


def _text(path: Path) -> str:
    content = path.read_bytes()
    encoding = _MARKS.get(content[:2], "utf-8-sig")
    try:
        return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}:{line} is not {encoding.removesuffix('-sig').upper()} text") from None


def _json(text: str, where: str) -> Any:
    return parse_json(text, where)


def _of_array(path: Path, text: str, known: tuple[str, ...]) -> list[Record]:
    """The entries of one array of objects or texts."""
    entries = [{"text": each} if isinstance(each, str) else each for each in _json(text, str(path))]
    return [
        _of_object(each, f"{path}, entry {number}", known) for number, each in enumerate(entries, start=1)
    ]


def _of_object(found: Any, where: str, known: tuple[str, ...]) -> Record:
    fields = _renamed(found, where) if isinstance(found, dict) else None
    if fields is None or not fields.keys() <= set(known):
        says = ", ".join(sorted(found)) if isinstance(found, dict) else json.dumps(found)[:40]
        raise ValueError(f"{where} says {says}; expected an object with some of {', '.join(known)}")
    return Record(where, fields)


def _renamed(found: dict[str, Any], where: str) -> dict[str, Any]:
    """The fields by our names."""
    fields = {_ALSO.get(name, name): value for name, value in found.items()}
    if len(fields) < len(found):
        raise ValueError(f"{where} says the same twice: {', '.join(sorted(found))}")
    return fields


def _of_table(path: Path, text: str, delimiter: str, known: tuple[str, ...]) -> tuple[list[Record], int]:
    """The rows of a table, whose quoted cells may hold line breaks, and how many are comments."""
    lines = text.split("\n")
    head = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    delimiter = ";" if delimiter not in head and ";" in head else delimiter
    rows = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    columns, records, comments = [], [], 0
    try:
        for row in rows:
            cells = [" ".join(cell.split()) for cell in row]
            where = f"{path}:{rows.line_num}"
            if not any(cells):
                continue
            if cells[0].startswith("#"):
                comments += 1
            elif not columns:
                columns = _columns(path, cells, known)
            elif len(cells) != len(columns):
                raise ValueError(f"{where} has {len(cells)} cells; the first line names {len(columns)}")
            else:
                pairs = zip(columns, cells, strict=True)
                fields = {name: cell for name, cell in pairs if cell and name in known}
                records.append(Record(where, fields, is_table=True))
    except csv.Error as error:
        raise ValueError(f"{path}:{rows.line_num} is no row of a table: {error}") from None
    return records, comments


def _columns(path: Path, cells: list[str], known: tuple[str, ...]) -> list[str]:
    """The names of a table's columns, in any case and with any blanks."""
    ours = {squeezed(name): name for name in known} | {squeezed(name): ours for name, ours in _ALSO.items()}
    columns = [ours.get(squeezed(cell), cell) for cell in cells]
    if len(set(columns)) < len(columns):
        raise ValueError(f"{path} says the same twice: {', '.join(cells)}")
    if not set(columns) & set(known):
        raise ValueError(f"{path} has the columns {', '.join(cells)}; expected some of {', '.join(known)}")
    others = [cell for cell, name in zip(cells, columns, strict=True) if name not in known]
    if others:
        notify(f"{path}: the columns {', '.join(others)} are left out")
    return columns
