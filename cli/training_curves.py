"""Training curves of a stage, drawn from its metrics.csv."""

import csv
import io
import re
from pathlib import Path

Curve = list[tuple[int, float]]


def read_curves(metrics: Path) -> dict[str, Curve]:
    """(step, value) of every metric in a metrics.csv, by name."""
    curves: dict[str, Curve] = {}
    with metrics.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if value and name not in ("step", "epoch"):
                    curves.setdefault(name, []).append((int(row["step"]), float(value)))
    return curves


def last_value(metrics: Path, name: str) -> float:
    """The value of a metric at the end of the training.

    Raises:
        ValueError: if it was never logged.
    """
    curves = read_curves(metrics)
    if name not in curves:
        raise ValueError(f"{metrics} has no {name}; it has {', '.join(sorted(curves))}")
    return curves[name][-1][1]


def draw(curves: dict[str, Curve], names: list[str], title: str) -> str:
    """An SVG element with a panel for each named curve; its text takes the page's colour."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    ink = "#010203"  # replaced below: matplotlib has no name for the colour of the page's text
    figure = Figure(figsize=(3.1 * len(names), 2.2), layout="constrained")
    figure.patch.set_alpha(0)
    for panel, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        steps, values = zip(*curves[name], strict=True)
        panel.plot(steps, values, color="#4f7cff", linewidth=1.6, marker="." if len(steps) < 12 else "")
        panel.set_title(name, fontsize=9, color=ink, loc="left")
        panel.patch.set_alpha(0)
        panel.tick_params(colors=ink, labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(ink)
    drawing = io.StringIO()
    FigureCanvasSVG(figure).print_svg(drawing, metadata={"Date": None, "Title": title})
    svg = drawing.getvalue().replace(ink, "currentColor")
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'class="curves"', svg[svg.index("<svg") :], count=1)
