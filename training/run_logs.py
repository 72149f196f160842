"""Logs of a training run: metrics.csv, continued when a run is resumed, and Lightning without its chatter."""

import csv
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

_CHATTER = (
    ".*does not have many workers.*",
    ".*args parameter is intended to run from within Python.*",
    ".*Previous log files in this directory will be deleted.*",
    ".*can be used with Automatic Mixed Precision.*",
    ".*number of training batches.*smaller than the logging interval.*",
    ".*GPU available but not used.*",
    ".*'set_vital' is deprecated.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
)


def csv_logger(folder: Path) -> CSVLogger:
    """A logger to folder/metrics.csv. Of a resumed run it keeps the rows up to the checkpoint last.ckpt."""
    path, checkpoint = folder / "metrics.csv", folder / "last.ckpt"
    rows: list[dict[str, Any]] = []
    rank = rank_zero_only.rank  # pyright: ignore[reportFunctionMemberAccess]  # Lightning sets it
    if rank == 0 and path.is_file() and checkpoint.exists():
        last = _last_row(checkpoint)
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if int(row["step"]) <= last]
    logger = CSVLogger(folder, name="", version="", flush_logs_every_n_steps=50)
    logger.experiment.metrics = rows
    logger.save()
    return logger


def step_of(checkpoint: Path) -> int:
    """Optimizer steps done when a checkpoint was written."""
    return _load(checkpoint)["global_step"]


def _last_row(checkpoint: Path) -> int:
    """The last step that was logged: loggers count batches, not the steps of each optimizer."""
    return _load(checkpoint)["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"]


def _load(checkpoint: Path) -> dict[str, Any]:
    if checkpoint.is_dir():  # sharded: what is not a weight stands in a file of its own
        checkpoint = checkpoint / "meta.pt"
    return torch.load(checkpoint, weights_only=True, map_location="cpu", mmap=True)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's tips and its warnings about small machines."""
    os.environ.setdefault("WANDB_SILENT", "true")
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in _CHATTER:
            warnings.filterwarnings("ignore", message=message)
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
