"""`videolm evaluate --protocol world`: a table by steps, report.json and a sheet of frames."""

from pathlib import Path
from typing import Any

from ..data.media.contact_sheet import sheet
from ..data.runtime.files import replacing, write_json
from ..data.runtime.model_source import source_name
from ..data.runtime.text_table import text_table
from ..generation.pipeline import VideoLM
from .protocols.world import run_world

PROTOCOL = "world"
_COLUMNS = ("episodes", "psnr_db", "copied_db", "delta_psnr_db", "agent", "doors", "carried")


def evaluate_world(folder: Path, data: str, out: Path, episodes: int, seed: int) -> list[Path]:
    """Score a world model; returns the paths written: report.json and worlds.png.

    Raises:
        FileNotFoundError: if the model, a part of it or the clips are missing.
        ValueError: if it is no world model, or no episode can be read.
    """
    model = VideoLM.from_pretrained(folder)
    scores = run_world(model, data, episodes, seed)
    print(table(scores.report))
    path = out / "worlds.png"
    with replacing(path) as temporary:
        sheet(scores.rows).save(temporary)
    about = {"protocol": PROTOCOL, "model": source_name(folder), "data": data, "seed": seed}
    write_json(out / "report.json", about | scores.report)
    return [out / "report.json", path]


def table(report: dict[str, Any]) -> str:
    """The scores as lines of text."""
    names = [name for name in _COLUMNS if any(name in values for values in report["steps"].values())]
    rows = [
        (f"step {step}", *(_shown(values.get(name)) for name in names))
        for step, values in report["steps"].items()
    ]
    lines = list(text_table(rows, ("", *names)))
    for kind in ("rewards", "ends"):
        own = report[kind]
        found = f"precision {_shown(own['precision'])}, recall {_shown(own['recall'])}"
        lines.append(f"{kind}: {found}, of {own['true']}")
    lines.append(f"{report['frames_a_cpu_second']:.1f} frames a second of CPU time, several worlds together")
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.2f}"
