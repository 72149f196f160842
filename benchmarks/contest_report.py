"""Table and curves of a contest: contestants after equal time, and after equal steps.

The schedules end with the time, so after equal steps a slow contestant, which has few, has ended its schedule
and a fast one has hardly begun: that table flatters the slow ones. Scores between two evaluations are
interpolated along a straight line.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .measuring import Record, markdown_table

RECORDS = "contest.jsonl"


@dataclass(frozen=True)
class Run:
    """One contestant's records: the settings, and evaluations in the order of time."""

    start: Record
    evaluations: list[Record]

    @property
    def name(self) -> str:
        return f"{self.start['contestant']}, rate {self.start['learning_rate']:g}, seed {self.start['seed']}"

    @property
    def steps(self) -> int:
        return self.evaluations[-1]["step"]

    def curve(self, group: str, score: str) -> list[float]:
        return [evaluation["quality"][group][score] for evaluation in self.evaluations]

    def at_step(self, group: str, score: str, step: int) -> float | None:
        """A score after `step` steps; None if the first evaluation came later or no pixel moves."""
        steps = [evaluation["step"] for evaluation in self.evaluations]
        curve = self.curve(group, score)
        return None if step < steps[0] or None in curve else float(np.interp(step, steps, curve))


def write(folders: list[Path], out: Path) -> None:
    """Write out/report.md and out/curves.png from the folders of runs; prints the tables.

    Raises:
        FileNotFoundError: if a folder has no run.
        ValueError: if a run has no evaluation, or runs are not of the same contest.
    """
    runs = [read(folder) for folder in folders]
    for run in runs[1:]:
        _check_same_contest(runs[0], run)
    text = report(runs)
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.md").write_text(text, encoding="utf-8")
    draw(runs, out / "curves.png")
    print(text)


def read(folder: Path) -> Run:
    path = folder / RECORDS
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {RECORDS}; expected the --out of a contestant")
    start, *evaluations = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    if not evaluations:
        raise ValueError(f"{path} has no evaluation; the run ended before its first one")
    return Run(start, evaluations)


def report(runs: list[Run]) -> str:
    """The tables as Markdown."""
    groups = list(runs[0].evaluations[-1]["quality"])
    columns = [(group, score) for group in groups for score in ("psnr_db", "moving_psnr_db")]
    steps = min(run.steps for run in runs)
    after_time = [_row(run, columns, run.steps) | _codes(run) for run in runs]
    after_steps = [_row(run, columns, steps) for run in runs]
    return "\n".join(
        [
            f"Contest: {json.dumps(runs[0].start['protocol'])}",
            f"Machine: {json.dumps(runs[0].start['machine'])}",
            "",
            f"After equal time ({runs[0].start['protocol']['minutes']:g} minutes):",
            "",
            markdown_table(after_time),
            "",
            f"After equal steps ({steps}):",
            "",
            markdown_table(after_steps),
            "",
        ]
    )


def draw(runs: list[Run], path: Path) -> None:
    """PSNR over minutes and over steps, of all pixels and of moving ones."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharey="row")
    names = {"psnr_db": "PSNR (dB)", "moving_psnr_db": "PSNR of moving pixels (dB)"}
    for row, (score, title) in zip(panels, names.items(), strict=True):
        for run in runs:
            values = [float("nan") if value is None else value for value in run.curve("all", score)]
            minutes = [evaluation["seconds"] / 60 for evaluation in run.evaluations]
            steps = [evaluation["step"] for evaluation in run.evaluations]
            row[0].plot(minutes, values, marker=".", label=run.name)
            row[1].plot(steps, values, marker=".", label=run.name)
        row[0].set(xlabel="minutes of training", ylabel=title)
        row[1].set(xlabel="steps", xscale="log")
        for panel in row:
            panel.grid(alpha=0.3)
    panels[0, 0].legend(fontsize=8)
    FigureCanvasAgg(figure).print_png(path)


def _row(run: Run, columns: list[tuple[str, str]], step: int) -> Record:
    names = {"psnr_db": "dB", "moving_psnr_db": "moving dB"}
    row: Record = {"contestant": run.name, "steps": step}
    for group, score in columns:
        value = run.at_step(group, score, step)
        row[f"{group} {names[score]}"] = None if value is None else f"{value:.2f}"
    return row


def _codes(run: Run) -> Record:
    last = run.evaluations[-1]
    return {
        "codes used": f"{last['distinct_codes']:,} of {last['codes']:,}",
        "perplexity": last["perplexity"],
        "layers": run.start["layers"],
        "parameters": run.start["parameters"],
        "peak GB": last["peak_gb"],
    }


def _check_same_contest(first: Run, other: Run) -> None:
    ours, theirs = first.start["protocol"], other.start["protocol"]
    if ours != theirs:
        different = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
        raise ValueError(
            f"{first.name} and {other.name} differ in {', '.join(different)}; "
            "a table needs runs of one contest"
        )
