"""The options of a fit that say when checkpoints are written, which are kept and when a model is exported."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LightningArgumentParser

from ..training.run_checkpoint import BestCheckpoint, RunCheckpoint
from ..training.stop_signals import StopSignals
from ..training.validations import Quality

_EVERY = 200


def add_checkpoint_arguments(parser: LightningArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint_every",
        type=int | None,
        help=f"steps between two writings of last.ckpt; {_EVERY}, where no minutes are given",
    )
    parser.add_argument(
        "--checkpoint_minutes", type=float | None, help="minutes between two, in place of steps or beside"
    )
    parser.add_argument(
        "--checkpoint_in_background",
        type=bool,
        default=True,
        help="write while the training goes on, from a copy in the host's memory; a sharded one never is",
    )
    parser.add_argument(
        "--keep_checkpoints",
        type=int,
        default=1,
        help="so many of the newest; above 1 as step-000400.ckpt beside last.ckpt",
    )
    parser.add_argument(
        "--best_checkpoint", type=str | None, help="metric by whose best validation best.ckpt is kept"
    )
    parser.add_argument(
        "--best_checkpoint_mode",
        type=Literal["min", "max"] | None,
        help="which of its values is the best; known of the metric that the best model is chosen by",
    )
    parser.add_argument(
        "--export_every",
        type=int,
        default=5,
        help="after every so many checkpoints RUN/model gets the model as it is then; 0 for the end alone",
    )


def checkpoint_callbacks(
    config: Mapping[str, Any],
    folder: Path,
    quality: Quality,
    *,
    after: Callable[[], None],
    export: Callable[[Trainer], None],
    signals: StopSignals,
) -> list[Callback]:
    """What the options ask for.

    Args:
        quality: by which the best model is chosen.
        after, export, signals: of `RunCheckpoint`.

    Raises:
        ValueError: if a number is out of range, or it is not known which value of a metric is the best.
    """
    every, minutes = config["checkpoint_every"], config["checkpoint_minutes"]
    if every is None and minutes is None:
        every = _EVERY
    last = RunCheckpoint(
        folder, every, minutes, config["keep_checkpoints"], after, export, config["export_every"], signals
    )
    metric, mode = config["best_checkpoint"], config["best_checkpoint_mode"]
    if metric is None:
        return [last]
    if mode is None and metric == quality.metric:
        mode = "max" if quality.rises else "min"
    if mode is None:
        raise ValueError(f"--best_checkpoint is {metric}: give --best_checkpoint_mode min or max")
    return [BestCheckpoint(folder, metric, mode), last]
