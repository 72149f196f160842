"""Scores for loggers: a row of a CSV file, TensorBoard's events, or wandb, which stays off-line.

wandb writes to the run folder and sends nothing; `wandb sync` uploads the run, WANDB_MODE=online at once.
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast, get_args

from ..data.runtime.files import replacing

Logger = Literal["csv", "tensorboard", "wandb"]


def logger_names(text: str) -> tuple[Logger, ...]:
    """The loggers that a text names, with commas between them.

    Raises:
        ValueError: if there is no such logger.
    """
    known: dict[str, Logger] = {name: name for name in get_args(Logger)}
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"unknown logger {unknown[0]!r}; there are {', '.join(known)}")
    return tuple(known[name] for name in names)


def log_scores(loggers: Sequence[Logger], out: Path, name: str, scores: dict[str, float]) -> list[Path]:
    """Give the scores of an evaluation to each of the loggers; returns what was written.

    Args:
        name: of the evaluation, in front of each score's.
    """
    return [_LOGGERS[logger](out, name, scores) for logger in loggers]


def _csv(out: Path, name: str, scores: dict[str, float]) -> Path:
    path = out / "scores.csv"
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["evaluation", *scores])
        writer.writerow([name, *scores.values()])
    return path


def _tensorboard(out: Path, name: str, scores: dict[str, float]) -> Path:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(out / "tensorboard") as writer:
        for score, value in scores.items():
            writer.add_scalar(f"{name}/{score}", value)
    return out / "tensorboard"


def _wandb(out: Path, name: str, scores: dict[str, float]) -> Path:
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    mode = cast(Literal["online", "offline"], os.environ.get("WANDB_MODE", "offline"))  # wandb checks it
    with wandb.init(project="videolm", name=f"{name} {out.name}", dir=out, mode=mode) as run:
        run.log({f"{name}/{score}": value for score, value in scores.items()})
    return out / "wandb"


_LOGGERS = {"csv": _csv, "tensorboard": _tensorboard, "wandb": _wandb}
