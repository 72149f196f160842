"""Printed tables: aligned columns without colours, as wide as their contents, in a terminal and in a pipe."""

from collections.abc import Iterable, Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNLIMITED = 100_000  # columns of letters: lines are never wrapped or cut


def text_table(
    rows: Iterable[Sequence[str]],
    names: Sequence[str] = (),
    *,
    left: int = 1,
    widths: Sequence[int] = (),
    indent: int = 0,
) -> list[str]:
    """Lines of a table: names of the columns, if there are any, then the rows.

    Args:
        left: so many columns are flush left, the others flush right.
        widths: least widths of the first columns, so that several tables stand below each other.
        indent: spaces before every line.
    """
    cells = [list(row) for row in rows]
    table = Table(box=None, show_header=bool(names), pad_edge=False, padding=(0, 2, 0, 0))
    for column in range(max(map(len, [names, *cells]))):
        table.add_column(
            Text(names[column]) if names else "",
            justify="left" if column < left else "right",
            min_width=widths[column] if column < len(widths) else None,
            no_wrap=True,
        )
    for row in cells:
        table.add_row(*map(Text, row))
    file = StringIO()
    Console(file=file, width=_UNLIMITED, color_system=None, force_terminal=False).print(table)
    return [" " * indent + line.rstrip() for line in file.getvalue().splitlines()]
