"""Lists of clips as tables: JSON lines, CSV, TSV and Parquet.

A row has the path of a file or, in Parquet, its content: Hugging Face's {bytes, path}, or plain bytes.
Content is read when an entry is read, also at an address (s3://…/a.parquet).
"""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..runtime.remote import is_address, open_file
from .entry import Entry, entry_of

TABLE_SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson", ".parquet", ".tsv")
_CONTENT_NAMES = ("video", "mp4", "image", "audio", "bytes", "content")
_Row = Callable[[], dict[str, Any]]  # parsed only when asked for, so that an error names its line


def read_table(path: Path) -> list[Entry]:
    """The rows of a table.

    Raises:
        ValueError: if it is not of the kind that its suffix says, or a row is wrong; the row is named.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return read_parquet(str(path))
    rows = _separated(path, "\t" if suffix == ".tsv" else ",") if suffix in (".csv", ".tsv") else _lines(path)
    entries = []
    for number, values in rows:
        try:
            entries.append(entry_of(values(), path.parent))
        except ValueError as error:
            raise ValueError(f"{path.name} line {number}: {error}") from error
    return entries


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file; expected one JSON object a line") from error


def _lines(path: Path) -> Iterator[tuple[int, _Row]]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            yield number, lambda line=line: json_object(line)


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
        raise ValueError(f'expected an object such as {{"path": "a.mp4"}}, not {values!r}')
    return values


def _separated(path: Path, delimiter: str) -> Iterator[tuple[int, _Row]]:
    reader = csv.DictReader(_text(path).splitlines(), delimiter=delimiter)
    try:
        for row in reader:
            yield reader.line_num, lambda row=row: _typed(row)
    except csv.Error as error:
        raise ValueError(f"{path.name} line {reader.line_num}: {error}") from error


def _typed(row: dict[str | None, Any]) -> dict[str, Any]:
    """A row of texts: empty cells are absent, and times are numbers."""
    if None in row or None in row.values():
        raise ValueError("it has another number of cells than the first line has names")
    values = {str(key): value for key, value in row.items() if value != ""}
    for name in ("start", "end", "start_time", "end_time"):
        if name in values:
            try:
                values[name] = float(values[name])
            except ValueError:
                raise ValueError(f"{name} is {values[name]!r}; expected seconds") from None
    return values


@dataclass(frozen=True)
class ParquetCell:
    """The content of one cell of a column of bytes."""

    table: str
    column: str
    group: int
    row: int

    def __call__(self) -> bytes:
        import pyarrow

        try:
            value = _column_of(self.table, self.column, self.group)[self.row].as_py()
        except pyarrow.ArrowException as error:
            raise OSError(f"its cell cannot be read ({error})") from error
        if isinstance(value, dict):
            if value.get("bytes") is None:
                raise OSError(f"its row has neither bytes nor a file that can be found ({value.get('path')})")
            value = value["bytes"]
        if value is None:
            raise OSError("its cell is empty")
        return value


@lru_cache(maxsize=2)
def _column_of(table: str, column: str, group: int) -> Any:
    """One column of a group of rows, kept for the neighbours, which are mostly wanted next."""
    with _open_parquet(table) as file:
        return file.read_row_group(group, columns=[column]).column(column)


@contextmanager
def _open_parquet(table: str) -> Iterator[Any]:
    import pyarrow.parquet

    with open_file(table) as file:
        yield pyarrow.parquet.ParquetFile(file)


def read_parquet(table: str) -> list[Entry]:
    """The rows of a Parquet file on disk or at an address.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is no Parquet file, or a row is wrong; the row is named.
    """
    import pyarrow

    try:
        with _open_parquet(table) as file:
            return _parquet_entries(table, file)
    except FileNotFoundError:
        raise
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{table} is not a Parquet file, or damaged: {reason}") from error


def _parquet_entries(table: str, file: Any) -> list[Entry]:
    """Entries of all rows; of columns that hold whole files one is the clip and none is read yet."""
    schema = file.schema_arrow
    contents = _content_columns(schema)
    content = next(iter(contents), None)
    if content is None and is_address(table):
        raise ValueError(f"{table} has no column of contents; its columns are {', '.join(schema.names)}")
    names = [name for name in schema.names if name not in contents]
    entries: list[Entry] = []
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=names).to_pylist()
        for row in range(file.metadata.row_group(group).num_rows):
            values = rows[row] if names else {}
            entries.append(_parquet_entry(table, content, group, row, len(entries), values))
    return entries


def _parquet_entry(
    table: str, content: str | None, group: int, row: int, number: int, values: dict[str, Any]
) -> Entry:
    path = Path(table)
    values = {key: plain(value) for key, value in values.items() if value is not None}
    try:
        if content is None:
            return entry_of(values, path.parent)
        named = values | {"path": f"{path.name}/{number}"}
        return entry_of(named, path.parent, ParquetCell(table, content, group, row))
    except ValueError as error:
        raise ValueError(f"{path.name} row {number + 1}: {error}") from error


def _content_columns(schema: Any) -> list[str]:
    """The columns that hold whole files, the clip's first."""
    import pyarrow.types as types

    found = []
    for column in schema:
        is_feature = types.is_struct(column.type) and {"bytes", "path"} <= {each.name for each in column.type}
        is_bytes = types.is_binary(column.type) or types.is_large_binary(column.type)
        if is_feature or (is_bytes and column.name in _CONTENT_NAMES):
            found.append(column.name)
    return sorted(found, key=lambda name: (*_CONTENT_NAMES, name).index(name))


def plain(value: Any) -> Any:
    """A value as JSON can hold it; dates, decimals and the like as text."""
    if isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return str(value)
