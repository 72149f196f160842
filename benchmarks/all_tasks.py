"""Every task of a model on held-out prompts of the embedded corpus: scores, and a sheet of what it makes.

    python -m benchmarks.all_tasks --model runs/all-tasks/model --out runs/all-tasks/scores --clips 64

The scores are those of `videolm evaluate --protocol shapes-all`, one task at a time: each stands in
OUT/<task>.json, with a picture beside it, as soon as it is there, and is not made again. The table says of
each which share of its ceiling it reaches; --sheet joins the pictures.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from videolm.data.runtime.files import write_json
from videolm.evaluation.protocols.shapes_all import ALL_PROBES, run_shapes_all
from videolm.evaluation.protocols.shapes_exam import ExamSettings
from videolm.generation.pipeline import VideoLM
from videolm.lm.decoding.sampling import Sampling

from .all_tasks_picture import compact, draw_losses, picture_of, stacked
from .measuring import Record, command, cpu_seconds, machine, markdown_table

LEAST_SHARE = 0.9  # of the ceiling


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the scores")
    parser.add_argument("--source", default="synthetic-plain")
    parser.add_argument("--tasks", nargs="*", default=list(ALL_PROBES))
    parser.add_argument("--clips", type=int, default=64, help="per task and kind of held-out prompt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, help="as the model recommends if not given")
    parser.add_argument(
        "--temperatures",
        nargs="*",
        default=[],
        metavar="TASK=T",
        help="of tasks for which it is another one",
    )
    parser.add_argument("--guidance-scale", type=float, help="as the model recommends if not given")
    parser.add_argument("--best-of", type=int, default=1, help="paintings of each, chosen by what is known")
    parser.add_argument("--sheet", type=Path, help="file for the pictures of all tasks (.png)")
    parser.add_argument("--metrics", type=Path, help="metrics.csv of the training")
    parser.add_argument("--curves", type=Path, help="file for the curves of these (.png)")
    arguments = parser.parse_args()
    print(machine(torch.get_num_threads()), end="\n\n")
    arguments.out.mkdir(parents=True, exist_ok=True)
    missing = [task for task in arguments.tasks if not (arguments.out / f"{task}.json").is_file()]
    if missing:
        model = VideoLM.from_pretrained(arguments.model)
        for task in missing:
            score(model, task, arguments)
    rows = [row for task in arguments.tasks for row in rows_of(task, arguments.out)]
    print(markdown_table(rows))
    if arguments.sheet is not None:
        pictures = [Image.open(arguments.out / f"{task}.png") for task in arguments.tasks]
        compact(stacked(pictures)).save(arguments.sheet, optimize=True)
    if arguments.metrics is not None and arguments.curves is not None:
        draw_losses(arguments.metrics, arguments.curves)


def score(model: VideoLM, task: str, arguments: argparse.Namespace) -> None:
    """Write a task's scores and its picture."""
    others = dict(each.split("=", 1) for each in arguments.temperatures)
    temperature = float(others[task]) if task in others else arguments.temperature
    sampling = Sampling(temperature, guidance_scale=arguments.guidance_scale)
    asked = ExamSettings(arguments.source, arguments.clips, arguments.seed, sampling, (task,))
    seconds, result = cpu_seconds(lambda: run_shapes_all(model, asked, arguments.best_of))
    held_out = {"triples": result.report["tasks"], "pairs": result.report["unseen_pairs"]["tasks"]}
    scores = {split: tasks[task] for split, tasks in held_out.items() if task in tasks}
    settings = {"sampling": result.report["sampling"][task], "best_of": arguments.best_of}
    picture_of(model, task, result).save(arguments.out / f"{task}.png")
    write_json(
        arguments.out / f"{task}.json",
        {"clips": arguments.clips, "seed": arguments.seed, "cpu_seconds": seconds} | settings | scores,
    )
    print(f"{task}: {seconds:.0f} CPU s", flush=True)


def rows_of(task: str, folder: Path) -> list[Record]:
    """A row for each metric of a task."""
    found = json.loads((folder / f"{task}.json").read_text(encoding="utf-8"))
    return [row_of(task, label, found) for label in found["triples"]]


def row_of(task: str, label: str, found: dict[str, Any]) -> Record:
    """A metric on both kinds of held-out prompts; it is met if both reach their share of the ceiling."""
    entries = [found[split][label] for split in ("triples", "pairs") if split in found]
    unit = f", {entries[0]['unit']}" if "unit" in entries[0] else ""
    shares = [entry["score"] / entry["ceiling"] for entry in entries if entry["ceiling"]]
    row: Record = {"task": task, "metric": label + unit}
    for name in ("score", "chance", "ceiling"):
        row[name] = " / ".join(f"{entry[name]:.2f}" for entry in entries)
    row["share of the ceiling"] = " / ".join(f"{share:.2f}" for share in shares) or "-"
    row["n"] = " / ".join(str(entry["n"]) for entry in entries)
    verdict = "met" if min(shares, default=0) >= LEAST_SHARE else "**MISSED**"
    row[f">= {LEAST_SHARE}"] = verdict if shares else "no ceiling"
    return row


if __name__ == "__main__":
    command(main)
