"""The page beside a report.json: clips side by side, scores, curves and the commands that made them.

One file of HTML with relative links to the clips, so that it opens from disk and can be moved with them. A
page is a record; page.html.jinja turns it into HTML and escapes every text in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..data.runtime.files import replacing


@dataclass(frozen=True)
class Shown:
    """One clip on the page: a file beside it, what it is, whether it is worth listening to."""

    path: str
    caption: str
    has_sound: bool = False


@dataclass(frozen=True)
class ClipRow:
    """Clips side by side under their prompt, with the command that made the last of them."""

    task: str
    text: str
    clips: Sequence[Shown]
    command: str = ""


@dataclass(frozen=True)
class ClipRows:
    kind: ClassVar[str] = "clip_rows"
    rows: Sequence[ClipRow]
    title: str = ""


@dataclass(frozen=True)
class ScoreRow:
    """One score of one task.

    Args:
        label: what was read from the clip.
        bar: the score as a share of its bar, in per cent.
        mark: chance likewise.
        cells: score, chance, ceiling and number of clips.
        goal: empty if there is none.
        verdict: "met" or "missed".
    """

    task: str
    label: str
    bar: str
    mark: str
    cells: Sequence[str]
    goal: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class ScoreTable:
    """Scores as bars with their level of chance marked, beside the tokenizers' ceiling and the goal."""

    kind: ClassVar[str] = "score_table"
    rows: Sequence[ScoreRow]
    has_goals: bool = False
    title: str = ""


@dataclass(frozen=True)
class ValueTable:
    kind: ClassVar[str] = "value_table"
    rows: Sequence[Sequence[str]]
    names: Sequence[str] = ()
    title: str = ""


@dataclass(frozen=True)
class Drawing:
    """SVG of our own making: the one text of a page that is not escaped."""

    kind: ClassVar[str] = "drawing"
    svg: str
    title: str = ""


@dataclass(frozen=True)
class Commands:
    """Command lines, one below the other, folded away."""

    kind: ClassVar[str] = "commands"
    text: str
    title: str = ""


Block = ClipRows | ScoreTable | ValueTable | Drawing | Commands


@dataclass(frozen=True)
class Section:
    """A heading, a text and blocks, each below its own title if it has one."""

    title: str
    blocks: Sequence[Block]
    text: str = ""


@dataclass(frozen=True)
class Page:
    """A page.

    Args:
        title: of the window.
        heading: of the page.
        text: below the heading.
        numbers: the few to see first, each with what it is.
    """

    title: str
    heading: str
    text: str
    numbers: Sequence[tuple[str, str]]
    sections: Sequence[Section]


def write_page(path: Path, page: Page) -> None:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("page.html.jinja").render(page=page)
    with replacing(path) as temporary:
        temporary.write_text(html.lstrip() + "\n", encoding="utf-8")


def score_table(
    scores: Mapping[str, Mapping[str, Any]],
    ceiling: Mapping[str, Any],
    bars: Sequence[Mapping[str, Any]] = (),
    title: str = "",
) -> ScoreTable:
    """Every score of every task.

    Args:
        scores: by task and label, as `run_exam` reports them.
        ceiling: by label, for a score without a ceiling of its own.
        bars: goals, each with its task, label, `at_least` and whether it is `met`.
    """
    goals = {(bar["task"], bar["label"]): bar for bar in bars}
    rows = []
    for task, labels in scores.items():
        for label, entry in labels.items():
            if "score" not in entry:
                continue
            best = entry.get("ceiling", ceiling.get(label, {}).get("score"))
            cells = (_number(entry["score"]), _number(entry["chance"]), _number(best), str(entry["n"]))
            bar, mark = (f"{_share(entry, name):.1%}" for name in ("score", "chance"))
            goal = goals.get((task, label))
            reached = (_number(goal["at_least"]), "met" if goal["met"] else "missed") if goal else ()
            rows.append(ScoreRow(task, label, bar, mark, cells, *reached))
    return ScoreTable(rows, bool(bars), title)


def _share(entry: Mapping[str, Any], name: str) -> float:
    """A score that is a share, as it is; one with a unit, as a share of its ceiling."""
    return min(max(entry[name] / entry["ceiling"], 0), 1) if "unit" in entry else entry[name]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
