"""The results of the demo: report.json, index.html and the printed goals, met or missed."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...data.media.reading import read_clip
from ...data.runtime.files import read_json, write_json
from ...data.runtime.progress import clock
from ...data.runtime.text_table import text_table
from ...evaluation.evaluate_model import example_rows, score_sections
from ...evaluation.html_report import (
    ClipRow,
    ClipRows,
    Commands,
    Drawing,
    Page,
    Section,
    Shown,
    ValueTable,
    write_page,
)
from ...evaluation.metrics.entropy import unigram_nats
from ..command_line import in_words
from ..training_curves import draw, last_value, read_curves
from .demo_plan import Example, Stage

# What the demo is expected to reach on prompts held out of training.
BARS = {
    "text_to_video": {"colour": 0.90, "motion": 0.95, "shape": 0.80},
    "image_to_video": {"colour": 0.90, "shape": 0.90, "motion": 0.90},
    "frame_prediction": {"colour": 0.90, "shape": 0.90, "motion": 0.90},
    "video_to_audio": {"pitch": 0.80},
}
CURVES = {
    "tokenizer": ["train/loss", "val/psnr_db", "train/code_use"],
    "audio": ["train/loss", "val/si_sdr_db", "val/mel"],
    "lm": ["train/loss", "validation/loss", "train/nats/visual"],
}


def write_demo_report(
    out: Path, seconds: dict[str, float], stages: list[Stage], examples: list[Example], *, quick: bool
) -> list[Path]:
    """Gather what the stages left in OUT; returns the page and the report."""
    start = time.monotonic()
    scores = read_json(out / "evaluation" / "report.json")
    report = {name: scores[name] for name in ("tokenizer", "audio", "tasks", "unseen_pairs", "clips", "seed")}
    report["lm"] = _lm_quality(out)
    report["bars"] = bars(report["tasks"])
    curves = [_curves(out, stage) for stage in CURVES]
    seconds = seconds | {"page": round(time.monotonic() - start, 1)}
    report["seconds"] = seconds | {"total": round(sum(seconds.values()), 1)}
    sections = [
        Section(
            "Clips",
            [ClipRows([*_rows(out, examples), *_examined(scores, examples)])],
            "Real clips are held out: training never showed their combination of colour, shape and "
            "motion. Reconstructed: the real clip after a trip through the tokenizers. Press sound to hear.",
        ),
        *score_sections(report, report["bars"]),
        Section("Language model", [ValueTable(_lm_rows(report["lm"]), _LM_COLUMNS)]),
        Section("Training", curves),
        _stages(report["seconds"], stages),
    ]
    text, numbers = _text(report, quick), _numbers(report)
    write_page(out / "index.html", Page("videolm demo", "videolm demo", text, numbers, sections))
    write_json(out / "report.json", report)
    _print_goals(report["bars"])
    print(f"in all {clock(report['seconds']['total'])}")
    return [out / "report.json", out / "index.html"]


def bars(scores: dict[str, Any]) -> list[dict[str, Any]]:
    """Every goal with the score reached and whether that meets it."""
    return [
        {
            "task": task,
            "label": label,
            "at_least": goal,
            "score": scores[task][label]["score"],
            "met": scores[task][label]["score"] >= goal,
        }
        for task, labels in BARS.items()
        if task in scores
        for label, goal in labels.items()
    ]


def _print_goals(reached: list[dict[str, Any]]) -> None:
    rows = []
    for bar in reached:
        verdict = "met" if bar["met"] else "MISSED"
        score, goal = f"{bar['score']:.2f}", f"goal {bar['at_least']:.2f}"
        rows.append((bar["task"], bar["label"], score, goal, verdict))
    print("\n".join(text_table(rows, left=5)))


def _lm_quality(out: Path) -> dict[str, Any]:
    """Nats per code on held-out clips beside what is known from the codes' frequencies alone.

    `loss` and `unigram_nats` are of visual codes; `blocks` has every level of the audio codes too.
    """
    metrics = out / "training" / "lm" / "metrics.csv"
    blocks = {
        block: {"nats": last_value(metrics, f"validation/nats/{block}"), "unigram_nats": nats}
        for block, nats in unigram_nats(out / "shards").items()
    }
    return {
        "loss": blocks["visual"]["nats"],
        "unigram_nats": blocks["visual"]["unigram_nats"],
        "total_loss": last_value(metrics, "validation/loss"),
        "blocks": blocks,
    }


_LM_COLUMNS = ("codes", "nats per code, held out, over all tasks", "knowing only how frequent each code is")


def _lm_rows(lm: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (block, f"{entry['nats']:.3f}", f"{entry['unigram_nats']:.3f}")
        for block, entry in lm["blocks"].items()
    ]


def _text(report: dict[str, Any], quick: bool) -> str:
    text = (
        "A quick run with tiny models, to see that every stage works; the clips are noise."
        if quick
        else "Tokenizers for video and sound and a language model, trained from nothing by this run on the "
        "embedded corpus of moving shapes."
    )
    missed = [f"{bar['task']} {bar['label']}" for bar in report["bars"] if not bar["met"]]
    if missed and not quick:
        text += f" Goals missed: {', '.join(missed)}."
    return text


def _numbers(report: dict[str, Any]) -> list[tuple[str, str]]:
    met = sum(bar["met"] for bar in report["bars"])
    numbers = [
        (f"{met} of {len(report['bars'])}", "goals met"),
        (clock(report["seconds"]["total"]), "in all"),
        (f"{report['tokenizer']['psnr_db']:.1f} dB", "reconstruction"),
    ]
    text_to_video = report["tasks"].get("text_to_video", {})
    return numbers + [
        (f"{text_to_video[label]['score']:.2f}", f"text to video, {label}")
        for label in ("colour", "shape", "motion")
        if label in text_to_video
    ]


def _rows(out: Path, examples: list[Example]) -> list[ClipRow]:
    rows = []
    for example in examples:
        shown = []
        if example.real is not None:
            shown.append(_shown(out, out / "corpus" / f"clip-{example.real:06d}.mp4", "real"))
            shown.append(_shown(out, out / "clips" / f"reconstructed-{example.real}.mp4", "reconstructed"))
        shown.append(_shown(out, example.path, "generated"))
        rows.append(ClipRow(example.task, example.text, shown, in_words(example.command)))
    return rows


def _shown(out: Path, path: Path, caption: str) -> Shown:
    return Shown(path.relative_to(out).as_posix(), caption, read_clip(path).waveform is not None)


def _examined(scores: dict[str, Any], examples: list[Example]) -> Sequence[ClipRow]:
    """One of the clips that were scored, of each task without an example."""
    shown = {example.task for example in examples}
    first = {each["task"]: each for each in reversed(scores["examples"]) if each["task"] not in shown}
    return example_rows(reversed(first.values()), folder="evaluation/").rows


def _curves(run: Path, stage: str) -> Drawing:
    curves = read_curves(run / "training" / stage / "metrics.csv")
    names = [name for name in CURVES[stage] if name in curves]
    return Drawing(draw(curves, names, stage), stage)


def _stages(seconds: dict[str, float], stages: list[Stage]) -> Section:
    rows = [(name, clock(value)) for name, value in seconds.items()]
    commands = "\n".join(in_words(command) for stage in stages for command in stage.commands)
    return Section("Stages", [ValueTable(rows, ("stage", "time")), Commands(commands)])
