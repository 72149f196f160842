"""The page beside a report.json: clips side by side, scores, curves and the commands that made them.

One file of HTML with relative links to the clips, so that it opens from disk and can be moved with them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..data.runtime.files import replacing

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #667079; --line: #e3e6ea; --page: #fbfbfc;
  --card: #fff; --accent: #3d63dd; --good: #18794e; --bad: #b4541a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #98a1ab; --line: #2b3037;
  --page: #111417; --card: #191d22; --accent: #8aa6ff; --good: #5bd39b; --bad: #ffa868; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 3rem 1.5rem 5rem; max-width: 78rem; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 2rem; letter-spacing: -0.02em; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; letter-spacing: -0.01em; margin: 3rem 0 .8rem; }
h3 { font-size: 1rem; margin: 1.8rem 0 .5rem; }
p { max-width: 46rem; margin: .4rem 0; } .soft { color: var(--soft); }
.numbers { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; margin: 1.5rem 0 0; }
.numbers b { display: block; font-size: 1.5rem; font-weight: 600; letter-spacing: -0.02em; }
.numbers span { color: var(--soft); font-size: .85rem; }
.rows { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(30rem, 100%), 1fr)); gap: 1rem;
  margin-top: 1rem; }
.row { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1rem 1.1rem; }
.row > p { margin: 0 0 .7rem; }
.row > p b { display: block; font-weight: 500; font-size: .82rem; color: var(--soft); }
.clips { display: flex; gap: .8rem; }
figure { margin: 0; flex: 0 1 11rem; min-width: 0; }
figure video, figure img { display: block; width: 100%; border-radius: 8px; image-rendering: pixelated;
  background: var(--line); }
figcaption { display: flex; justify-content: space-between; font-size: .8rem; color: var(--soft);
  padding: .3rem .1rem 0; }
button { font: inherit; color: var(--accent); background: none; border: 0; padding: 0; cursor: pointer; }
code, pre { font: .8rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre { overflow-x: auto; white-space: pre-wrap; color: var(--soft); margin: .7rem 0 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .82rem; }
th, td { padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: middle; }
table.values { width: auto; } table.values td:first-child { padding-right: 3rem; }
.bar { position: relative; display: inline-block; width: 9rem; height: .55rem; border-radius: 4px;
  background: var(--line); vertical-align: middle; }
.bar i { position: absolute; inset: 0 auto 0 0; border-radius: 4px; background: var(--accent); }
.bar u { position: absolute; top: -.2rem; bottom: -.2rem; width: 2px; background: var(--ink); opacity: .55; }
.met { color: var(--good); } .missed { color: var(--bad); }
svg.curves { max-width: 100%; height: auto; }
"""
SCRIPT = """
document.addEventListener("click", event => {
  const button = event.target.closest("button[data-sound]");
  if (!button) return;
  const video = button.closest("figure").querySelector("video");
  const mute = !video.muted;
  document.querySelectorAll("video").forEach(other => { other.muted = true; });
  document.querySelectorAll("button[data-sound]").forEach(other => { other.textContent = "sound"; });
  video.muted = mute;
  button.textContent = mute ? "sound" : "mute";
  video.currentTime = 0;
  video.play();
});
"""


@dataclass(frozen=True)
class Shown:
    """One clip on the page: a file beside it, what it is, whether it is worth listening to."""

    path: str
    caption: str
    has_sound: bool = False


def write_page(path: Path, title: str, sections: Iterable[str]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
            + "\n".join(sections)
            + f"\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
            encoding="utf-8",
        )


def header(title: str, text: str, numbers: Sequence[tuple[str, str]]) -> str:
    """The top of the page; `numbers` are the few to see first, each with what it is."""
    shown = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in numbers
    )
    return f'<h1>{escape(title)}</h1>\n<p class="soft">{escape(text)}</p>\n<div class="numbers">{shown}</div>'


def section(title: str, *blocks: str, text: str = "") -> str:
    intro = f'<p class="soft">{escape(text)}</p>\n' if text else ""
    return f"<h2>{escape(title)}</h2>\n{intro}" + "\n".join(blocks)


def clip_rows(rows: Sequence[str]) -> str:
    return f'<div class="rows">{"".join(rows)}</div>'


def clip_row(task: str, text: str, clips: Sequence[Shown], command: str = "") -> str:
    """Clips side by side under their prompt, with the command that made the last of them."""
    figures = "".join(_figure(clip) for clip in clips)
    made_by = f"<pre>{escape(command)}</pre>" if command else ""
    words = f"<p><b>{escape(task)}</b>{escape(text)}</p>"
    return f'<div class="row">{words}<div class="clips">{figures}</div>{made_by}</div>'


def score_table(
    scores: dict[str, dict[str, Any]], ceiling: dict[str, Any], bars: list[dict[str, Any]]
) -> str:
    """Every score of every task: a bar with its chance level marked, the tokenizer's ceiling, the goal.

    Args:
        ceiling: by what is read from the clip, where a score does not have its own.
    """
    goals = {(bar["task"], bar["label"]): bar for bar in bars}
    rows = []
    for task, labels in scores.items():
        for label, entry in labels.items():
            if "score" not in entry:
                continue
            goal, best = goals.get((task, label)), ceiling.get(label, {}).get("score")
            rows.append(
                f"<tr><td>{escape(task)}</td><td>{escape(label)}</td>"
                f"<td>{_bar(entry)}</td><td>{entry['score']:.2f}</td><td>{entry['chance']:.2f}</td>"
                f"<td>{_number(entry.get('ceiling', best))}</td><td>{entry['n']}</td>"
                f"<td>{_goal(goal)}</td></tr>"
            )
    names = ("task", "read from the clip", "", "score", "chance", "ceiling", "clips", "goal" if bars else "")
    head = "".join(f"<th>{name}</th>" for name in names)
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def value_table(rows: Iterable[Sequence[str]], names: Sequence[str] = ()) -> str:
    head = f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in names)}</tr>" if names else ""
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table class="values">{head}{body}</table></div>'


def _figure(clip: Shown) -> str:
    source = escape(clip.path, quote=True)
    if clip.path.endswith(".png"):
        medium = f'<img src="{source}" alt="{escape(clip.caption, quote=True)}">'
    else:
        medium = f'<video src="{source}" autoplay loop muted playsinline></video>'
    sound = "<button data-sound>sound</button>" if clip.has_sound else ""
    return f"<figure>{medium}<figcaption><span>{escape(clip.caption)}</span>{sound}</figcaption></figure>"


def _bar(entry: dict[str, Any]) -> str:
    """A share as it is; what has a unit as a share of its ceiling."""
    score, chance = (
        min(max(entry[name] / entry["ceiling"], 0), 1) if "unit" in entry else entry[name]
        for name in ("score", "chance")
    )
    return (
        f'<span class="bar"><i style="width:{score:.1%}"></i>'
        f'<u style="left:{chance:.1%}" title="chance"></u></span>'
    )


def _goal(goal: dict[str, Any] | None) -> str:
    if goal is None:
        return ""
    verdict = "met" if goal["met"] else "missed"
    return f'<span class="{verdict}">{goal["at_least"]:.2f} {verdict}</span>'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
