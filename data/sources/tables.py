"""Lists of clips: `read_table` of any kind of table, as entries.

A row that is wrong becomes an entry with a problem, which is counted and named like a file that cannot be
read. Only a table without a single good row is refused.
"""

from collections.abc import Iterable
from pathlib import Path

from ..media.streams import printable
from .columns import known_columns
from .entry import Entry
from .listing import Listing
from .parquet import parquet_rows
from .places import Place
from .rows import entries_of
from .text_rows import Row, read_rows

TABLE_SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson", ".parquet", ".tsv", ".txt")
_MOST_SHOWN = 400  # letters of a list of columns


def read_table(path: Path) -> Listing:
    """The clips of a table.

    Raises:
        ValueError: if it is not of the kind that its suffix says, or has no good row.
    """
    return listing_of(
        str(path), parquet_rows(str(path)) if path.suffix.lower() == ".parquet" else read_rows(path)
    )


def read_parquet(table: str) -> Listing:
    """The clips of a Parquet file on disk or at an address.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: as `read_table`.
    """
    return listing_of(table, parquet_rows(table))


def listing_of(table: str, rows: Iterable[Row]) -> Listing:
    """The clips of some rows.

    Raises:
        ValueError: if there are rows, but no good one.
    """
    path = Path(table)
    place, entries = Place(path.parent), list[Entry]()
    columns: dict[str, None] = {}
    for row in rows:
        columns |= dict.fromkeys(row.values)
        try:
            if row.problem:
                raise ValueError(row.problem)
            entries += entries_of(row.values, place, row.load)
        except ValueError as error:
            named = Path(f"{printable(path)} {row.label}")
            entries.append(Entry(named, problem=" ".join(str(error).split())))
    if entries and all(entry.problem for entry in entries):
        raise ValueError(_nothing_good(path, entries[0], list(columns)))
    return Listing(entries, place.notes)


def _nothing_good(path: Path, first: Entry, columns: list[str]) -> str:
    said = f"{first.path.name}: {first.problem}; no row of {path.name} can be used"
    there = printable(", ".join(columns))[:_MOST_SHOWN]
    return f"{said}. Its columns are {there}; known are {known_columns()}" if there else said
