"""The page: what a record says stands in the HTML, and no text of it becomes markup."""

import re
from pathlib import Path
from typing import Any

from videolm.evaluation.html_report import (
    Block,
    ClipRow,
    ClipRows,
    Commands,
    Drawing,
    Page,
    Section,
    Shown,
    ValueTable,
    score_table,
    write_page,
)

SCORES = {"task": {"colour": {"score": 0.5, "chance": 0.125, "n": 8}, "variety": {"colour": 0.7}}}


def html(folder: Path, *blocks: Block, **changes: Any) -> str:
    page = {"title": "title", "heading": "heading", "text": "text", "numbers": [("1", "one")]} | changes
    write_page(folder / "page.html", Page(**page, sections=[Section("section", blocks, "intro")]))
    return (folder / "page.html").read_text(encoding="utf-8")


def test_a_text_is_never_markup(tmp_path: Path) -> None:
    bad = "<script>'\"&"
    clips = ClipRows([ClipRow(bad, bad, [Shown(bad, bad, True), Shown(bad + ".png", bad)], bad)], bad)
    values = ValueTable([(bad,)], (bad,), bad)
    scores = score_table({bad: {bad: SCORES["task"]["colour"]}}, {}, title=bad)
    text = html(tmp_path, clips, values, scores, Commands(bad), title=bad, heading=bad, numbers=[(bad, bad)])
    escaped = "&lt;script&gt;&#39;&#34;&amp;"
    assert text.count("<script>") == 1 and text.count("</script>") == 1  # the page's own
    assert text.count(escaped) == 4 + 9 + 3 + 3 + 1
    assert "&amp;lt;" not in text


def test_a_drawing_is_markup(tmp_path: Path) -> None:
    assert "<h3>title</h3>\n<svg></svg>" in html(tmp_path, Drawing("<svg></svg>", "title"))


def test_pictures_are_images_and_films_have_a_button_for_their_sound(tmp_path: Path) -> None:
    clips = [Shown("a.png", "real"), Shown("b.mp4", "made"), Shown("c.mp4", "heard", has_sound=True)]
    text = html(tmp_path, ClipRows([ClipRow("task", "prompt", clips)]))
    assert re.findall(r'<(img|video) src="([^"]+)"', text) == [
        ("img", "a.png"), ("video", "b.mp4"), ("video", "c.mp4"),
    ]  # fmt: skip
    assert text.count("<button data-sound>") == 1
    assert "<pre>" not in text


def test_a_goal_stands_beside_its_score_only(tmp_path: Path) -> None:
    bars = [{"task": "task", "label": "colour", "at_least": 0.9, "met": False}]
    with_goal = html(tmp_path, score_table(SCORES, {"colour": {"score": 1.0}}, bars))
    assert '<span class="missed">0.90 missed</span>' in with_goal and "<th>goal</th>" in with_goal
    assert "width:50.0%" in with_goal and "left:12.5%" in with_goal and "<td>1.00</td>" in with_goal
    without = html(tmp_path, score_table(SCORES, {}))
    assert "missed</span>" not in without and "<th>goal</th>" not in without
    assert "<td></td>" in without  # no ceiling


def test_a_score_with_a_unit_is_drawn_as_a_share_of_its_ceiling() -> None:
    entry = {"score": 20.0, "chance": -5.0, "ceiling": 40.0, "n": 8, "unit": "dB"}
    (row,) = score_table({"task": {"psnr": entry}}, {}).rows
    assert (row.bar, row.mark, row.cells) == ("50.0%", "0.0%", ("20.00", "-5.00", "40.00", "8"))
