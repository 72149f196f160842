"""`videolm evaluate --protocol super-resolution`: every stage of a model, a table and a sheet each."""

from pathlib import Path
from typing import Any

from ..data.media.contact_sheet import sheet
from ..data.runtime.files import replacing, write_json
from ..data.runtime.model_source import source_name
from ..data.runtime.text_table import text_table
from ..generation.pipeline import VideoLM
from ..generation.upscaling import read_stages
from .protocols.super_resolution import LEAST_GAP_DB, LOWER, UPPER, run_super_resolution

PROTOCOL = "super-resolution"


def evaluate_super_resolution(folder: Path, out: Path, source: str, clips: int, seed: int) -> list[Path]:
    """Score the stages of a model folder; returns the paths written: report.json and STAGE.png.

    Raises:
        FileNotFoundError: if the folder or a part of it is missing.
        ValueError: if it has no stages, or tokenizers that are not theirs.
    """
    stages = read_stages(folder)
    if not stages:
        raise ValueError(f"{folder} has no stages of super-resolution (videolm super-resolution fit)")
    model = VideoLM.from_pretrained(folder)
    reports, written = [], []
    for stage in stages:
        scores = run_super_resolution(model, stage.name, source, clips, seed)
        reports.append(scores.report)
        print(table(scores.report))
        path = out / f"{stage.name}.png"
        with replacing(path) as temporary:
            sheet([row for rows in scores.sheets for row in rows]).save(temporary)
        written.append(path)
    about = {"protocol": PROTOCOL, "model": source_name(folder), "source": source, "clips": clips}
    write_json(out / "report.json", about | {"seed": seed, "stages": reports})
    return [out / "report.json", *written]


def table(report: dict[str, Any]) -> str:
    """The scores of a stage as lines of text."""
    rows = [
        (
            row,
            f"{values['psnr_db']:.2f}",
            "-" if values["share"] is None else f"{values['share']:.2f}",
            *(f"{values[name]:.3f}" if name in values else "-" for name in ("ssim", "sharpness", "seams")),
        )
        for row, values in report["rows"].items()
    ]
    names = ("", "PSNR dB", "of the gap", "SSIM", "sharpness", "seams")
    lines = [f"stage {report['stage']}, {report['clips']} clips", *text_table(rows, names)]
    gap = report["rows"][UPPER]["psnr_db"] - report["rows"][LOWER]["psnr_db"]
    if gap < LEAST_GAP_DB:
        lines.append(f"the gap is {gap:.2f} dB; below {LEAST_GAP_DB:g} dB shares of it say nothing")
    if report["own_clips"] is not None:
        words = ", ".join(f"{value:.2f} {name}" for name, value in report["own_clips"].items())
        lines.append(f"words read in the model's own clips: {words}")
    return "\n".join(lines)
