"""Progress with the time left: a live bar on a terminal, a line every 15 seconds in a log file."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .terminal import harmless, printable_output, raw

# Of a longer job that the current one is a part of: share done of this part -> what to say of the whole.
WHOLE: ContextVar[Callable[[float], str] | None] = ContextVar("WHOLE", default=None)
_SECONDS_BETWEEN_LINES = 15.0
_LINES_OF_PACE = 4  # over which the pace is taken that the time left is told from


@runtime_checkable
class Report(Protocol):
    def __call__(self, completed: float, note: str = "") -> None: ...


@contextmanager
def progress(description: str, total: float, completed: float = 0) -> Iterator[Report]:
    """Show how far a job is; the block calls `report(completed, note)` as it goes.

    Args:
        description: what is being done.
        total: steps in all.
        completed: steps done in an earlier run.
    """
    show = _bar if sys.stderr.isatty() else _lines
    with show(description, max(total, 1e-9), completed) as report:
        yield report


@contextmanager
def _bar(description: str, total: float, completed: float) -> Iterator[Report]:
    whole = WHOLE.get()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]} {task.fields[whole]}"),
    )
    drawn = Progress(*columns, console=Console(file=raw(sys.stderr)), refresh_per_second=4)
    with drawn as bar, printable_output():  # the bar takes what is printed, to show it above itself
        task = bar.add_task(escape(harmless(description)), total=total, note="", whole="")
        bar.update(task, completed=completed)

        def report(completed: float, note: str = "") -> None:
            words = whole(completed / total) if whole else ""
            bar.update(task, completed=completed, note=escape(harmless(note)), whole=words)

        yield report


@contextmanager
def _lines(description: str, total: float, completed: float) -> Iterator[Report]:
    whole, last_line = WHOLE.get(), time.monotonic()
    recent = deque([(last_line, completed)])  # when how much was done, at the last lines

    def report(completed: float, note: str = "") -> None:
        nonlocal last_line
        now = time.monotonic()
        since, before = recent[0]
        if completed <= before or now - last_line < _SECONDS_BETWEEN_LINES:
            return
        last_line = now
        left = (now - since) / (completed - before) * (total - completed)
        recent.append((now, completed))
        if len(recent) > _LINES_OF_PACE:
            recent.popleft()
        words = [f"{description}: {completed:.0f}/{total:.0f}, {clock(left)} left", note]
        if whole:
            words.append(whole(completed / total))
        print("  ".join(word for word in words if word), file=sys.stderr, flush=True)

    yield report


def clock(seconds: float) -> str:
    """Seconds as 0:42, 12:05 or 1:02:03."""
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
