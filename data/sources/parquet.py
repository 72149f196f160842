"""Parquet tables, on disk or at an address (s3://…/a.parquet).

A row has the path of a file or its content: Hugging Face's {bytes, path}, or plain bytes. Content is read
when an entry is read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..runtime.remote import is_address, open_file
from .text_rows import Row

_CONTENT_NAMES = ("video", "mp4", "image", "audio", "bytes", "content")


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


def parquet_rows(table: str) -> Iterator[Row]:
    """The rows of a Parquet file; of columns that hold whole files one is the clip and none is read yet.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is no Parquet file, or one at an address without contents.
    """
    import pyarrow

    try:
        with _open_parquet(table) as file:
            yield from _rows(table, file)
    except FileNotFoundError:
        raise
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{table} is not a Parquet file, or damaged: {reason}") from error


def _rows(table: str, file: Any) -> Iterator[Row]:
    schema = file.schema_arrow
    contents = _content_columns(schema)
    content = next(iter(contents), None)
    if content is None and is_address(table):
        raise ValueError(f"{table} has no column of contents; its columns are {', '.join(schema.names)}")
    names = [name for name in schema.names if name not in contents]
    number = 0
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=names).to_pylist()
        for row in range(file.metadata.row_group(group).num_rows):
            values = {
                key: plain(value) for key, value in (rows[row] if names else {}).items() if value is not None
            }
            load = None if content is None else ParquetCell(table, content, group, row)
            named = values if content is None else values | {"path": f"{Path(table).name}/{number}"}
            number += 1
            yield Row(f"row {number}", named, load=load)


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
