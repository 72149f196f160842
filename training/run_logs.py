"""Logs of a training run: metrics.csv, continued after a stop; wandb; Lightning without its chatter."""

import csv
import logging
import os
import secrets
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ..data.runtime.files import naming_full_disk, read_object, write_json
from .checkpoints import batches_of

_WANDB_SECONDS = 20
_WANDB_FILE = "wandb.json"

_CHATTER = (
    ".*does not have many workers.*",
    ".*args parameter is intended to run from within Python.*",
    ".*Previous log files in this directory will be deleted.*",
    ".*can be used with Automatic Mixed Precision.*",
    ".*number of training batches.*smaller than the logging interval.*",
    ".*GPU available but not used.*",
    ".*'set_vital' is deprecated.*",
    ".*callbacks used to create the checkpoint need to be provided.*",  # a validation has none of a fit's
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
)


class _NamedCSVLogger(CSVLogger):
    """Names its file where there is no space left for it."""

    def save(self) -> None:
        with naming_full_disk(Path(self.log_dir) / "metrics.csv"):
            super().save()


def csv_logger(folder: Path, checkpoint: Path | None) -> CSVLogger:
    """A logger to folder/metrics.csv. Of a resumed run it keeps the rows up to its checkpoint.

    Lightning removes the file before it writes it anew, so it is set aside until that is done.
    """
    path, before = folder / "metrics.csv", folder / ".metrics-before.csv"
    rows: list[dict[str, Any]] = []
    is_first = rank_zero_only.rank == 0  # pyright: ignore[reportFunctionMemberAccess]  # Lightning sets it
    if is_first and path.is_file() and not before.exists():
        path.rename(before)
    if is_first and before.is_file() and checkpoint is not None:
        rows = _rows(before, batches_of(checkpoint))
    logger = _NamedCSVLogger(folder, name="", version="", flush_logs_every_n_steps=50)
    logger.experiment.metrics = rows
    logger.save()
    if is_first:
        before.unlink(missing_ok=True)
    return logger


def _rows(path: Path, last: int) -> list[dict[str, Any]]:
    """The rows up to a step; a killed run may have written half of its last line."""
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    return [row for row in csv.DictReader(whole.splitlines()) if int(row["step"]) <= last]


def means_of(logger: CSVLogger, begin: int, end: int, prefix: str = "train/") -> dict[str, float]:
    """Means of the logged metrics of a training from step `begin` up to `end`, by name, without that step.

    Loggers count the batches that a step was made of as one.
    """
    values: dict[str, list[float]] = {}
    for row in logger.experiment.metrics:
        if begin <= int(row["step"]) < end:
            for name, value in row.items():
                if name.startswith(prefix) and value not in ("", None):
                    values.setdefault(name, []).append(float(value))
    return {name: sum(each) / len(each) for name, each in values.items()}


def wandb_logger(folder: Path, name: str, goes_on: bool = False) -> WandbLogger:
    """A logger to Weights & Biases, off-line if nobody is logged in or it cannot be reached.

    WANDB_MODE decides if it is set.

    Args:
        goes_on: the training does, and so does its run there, whose id is kept in the folder.
    """
    import wandb

    mode = os.environ.get("WANDB_MODE")
    make = partial(WandbLogger, save_dir=folder, name=name, project="videolm")
    if rank_zero_only.rank:  # pyright: ignore[reportFunctionMemberAccess]  # the first process alone logs
        return make(offline=mode == "offline")
    make = partial(make, id=_wandb_id(folder, goes_on), resume="allow")
    if mode is not None:
        return make(offline=mode == "offline")
    why = f"{wandb.Settings().base_url} cannot be reached"
    try:
        # Asked first: without a network wandb tries for minutes.
        if _is_reachable(wandb.Settings().base_url):
            why = "nobody is logged in (wandb login)"
            if wandb.login(prompt=False, timeout=_WANDB_SECONDS):
                logger = make(settings=wandb.Settings(init_timeout=_WANDB_SECONDS))
                assert logger.experiment  # connects
                return logger
    except wandb.Error as error:
        why = str(error).strip().splitlines()[0]
    upload = f"wandb sync {folder / 'wandb'}/offline-*"
    print(f"wandb stays off-line: {why}; upload the run later by: {upload}", file=sys.stderr)
    wandb.teardown()  # it remembers that it was to be on-line
    return make(offline=True)


def _wandb_id(folder: Path, goes_on: bool) -> str:
    """The id of a training's run: another one for each that begins."""
    path = folder / _WANDB_FILE
    if goes_on and path.is_file():
        found = read_object(path).get("id")
        if not isinstance(found, str) or not found.isalnum():
            raise ValueError(f"{path} is damaged: the id is {found!r}")
        return found
    made = secrets.token_hex(4)
    write_json(path, {"id": made})
    return made


def _is_reachable(address: str) -> bool:
    if getproxies():
        return True  # who knows what lies behind
    place = urlsplit(address)
    try:
        socket.create_connection((place.hostname or "", place.port or 443), timeout=5).close()
    except OSError:
        return False
    return True


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
