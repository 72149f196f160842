"""Scores as files: report.json, scores.md with a table, and a page with samples."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data.runtime.files import replacing, write_json
from ..data.runtime.text_table import text_table
from .html_report import ClipRow, ClipRows, Page, Section, ValueTable, write_page
from .metrics.score import Score

Table = tuple[Sequence[str], Sequence[Sequence[str]]]  # names of the columns, rows of cells


def write_report(
    out: Path,
    title: str,
    text: str,
    report: dict[str, Any],
    scores: Sequence[Score],
    samples: Sequence[ClipRow] = (),
    tables: dict[str, Table] | None = None,
) -> list[Path]:
    """Write the files of an evaluation; returns their paths.

    Args:
        text: what was compared with what.
        report: what report.json holds beside the scores.
        samples: clips for the page.
        tables: further tables by their title, such as one of published results.
    """
    shown = {"Scores": scores_table(scores)} | (tables or {})
    write_json(out / "report.json", report | {"scores": {score.name: score.to_json() for score in scores}})
    with replacing(out / "scores.md") as temporary:
        parts = [f"# {title}", text, *(f"## {name}\n\n{markdown(table)}" for name, table in shown.items())]
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    computed = [score for score in scores if score.value is not None]
    sections = [Section(name, [ValueTable(rows, names)]) for name, (names, rows) in shown.items()]
    if samples:
        sections.append(Section("Samples", [ClipRows(samples)]))
    numbers = [(str(score), score.name) for score in computed[:6]]
    write_page(out / "index.html", Page(f"videolm: {title}", title, text, numbers, sections))
    return [out / "index.html", out / "scores.md", out / "report.json"]


def scores_table(scores: Sequence[Score]) -> Table:
    """A row for each score: its value, what it was computed with, on how many clips."""
    rows = []
    for score in scores:
        file = score.constants.get("sha256")
        network = str(score.constants.get("network", "")) + (f", sha256 {file[:12]}" if file else "")
        rows.append((score.name, str(score), network, str(score.constants.get("clips", ""))))
    return ("score", "value", "computed with", "clips"), rows


def markdown(table: Table) -> str:
    names, rows = table
    lines = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def print_scores(scores: Sequence[Score]) -> None:
    """A line for each score, for the terminal."""
    print("\n".join(text_table([(score.name, str(score)) for score in scores], left=2)))


def values_of(scores: Sequence[Score]) -> dict[str, float]:
    """What was computed, by name, for loggers."""
    return {score.name: score.value for score in scores if score.value is not None}
