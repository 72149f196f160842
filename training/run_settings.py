"""What may change when a training goes on from its checkpoint: every setting is of one of three kinds.

    free      changes nothing of what is learnt: workers, logs, checkpoints, compiling, paths whose contents
              are compared; and how long the training is, which is asked for anew each time
    run       is what the run is: model, data, seed
    machine   devices, precision, accumulation: the same run on another machine, with other results

A setting that is not in the table is of the run. Those of the last two kinds are refused by name when they
are not as before, unless --force-settings names them.
"""

import difflib
from collections.abc import Iterable, Mapping
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from ..data.runtime.made_with import differences


class Kind(Enum):
    FREE = "free"
    RUN = "run"
    MACHINE = "machine"


# Patterns of full names; the first that fits counts.
_TABLE: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (
        Kind.MACHINE,
        (
            "trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.precision",
            "trainer.strategy", "trainer.strategy.*", "trainer.accumulate_grad_batches", "trainer.benchmark",
            "trainer.deterministic", "trainer.plugins", "trainer.plugins.*",
        ),
    ),
    (
        Kind.RUN,
        (
            "trainer.gradient_clip_val", "trainer.gradient_clip_algorithm", "trainer.limit_train_batches",
            "trainer.overfit_batches", "trainer.sync_batchnorm", "trainer.use_distributed_sampler",
            "seed_everything",
        ),
    ),
    (
        Kind.FREE,
        (
            # What a trainer shows and measures, and how long it goes on, which learning rates follow.
            "trainer", "trainer.*", "steps", "steps.*",
            "config", "out", "logger", "init_from", "force_settings", "ckpt_path", "weights_only",
            "keep_best", "checkpoint_*", "keep_checkpoints", "best_checkpoint*", "export_every",
            "optimizer", "lr_scheduler",
            "data.num_workers", "data.text_cache", "data.kept_text",
            # Folders, of whose contents fingerprints are compared.
            "data.model", "data.shards",
            "model.compile", "model.activation_checkpointing",
        ),
    ),
)  # fmt: skip


def kind_of(name: str) -> Kind:
    """The kind of a setting by its full name, such as "model.learning_rate"."""
    for kind, patterns in _TABLE:
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return kind
    return Kind.RUN


def compared(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a config that are compared, by their full names."""
    found: dict[str, Any] = {}

    def collect(name: str, value: Any) -> None:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                collect(f"{name}.{key}" if name else str(key), inner)
        elif kind_of(name) is not Kind.FREE:
            found[name] = num_devices(value) if name == "trainer.devices" else value

    collect("", config)
    return found


def num_devices(devices: Any) -> Any:
    """How many are meant, where Lightning allows many ways of saying it: 2, "2", [0, 1], "0,1", "auto"."""
    if isinstance(devices, list):
        return len(devices)
    if isinstance(devices, str) and "," in devices:
        return len([each for each in devices.split(",") if each.strip()])
    if devices in ("auto", "-1", -1):
        return max(torch.cuda.device_count(), 1)
    return int(devices) if isinstance(devices, str) and devices.isdecimal() else devices


def refuse_changed(
    place: Path, before: Mapping[str, Any], now: Mapping[str, Any], allowed: Iterable[str] = ()
) -> list[str]:
    """Refuse to go on from a checkpoint with other settings than it was made with.

    Args:
        place: folder of the checkpoint.
        before: settings by their full names.
        now: likewise.
        allowed: names of settings, or of groups of them ("model.tokenizer"), that may have changed.

    Returns:
        what has changed and was allowed, each as "data.batch_size 4, now 8".

    Raises:
        ValueError: naming what has changed, and the option that allows it.
    """
    changed = {each.partition(" ")[0]: each for each in differences(before, now)}
    is_allowed = {name: _is_named(name, allowed) for name in changed}
    refused = [name for name, allowed in is_allowed.items() if not allowed]
    if refused:
        raise ValueError(
            f"{place} holds a checkpoint made with {'; '.join(changed[name] for name in refused)}: choose "
            f"another place, remove this one, or go on with what is new: --force-settings {' '.join(refused)}"
        )
    return [changed[name] for name in is_allowed]


def check_names(allowed: Iterable[str], known: Iterable[str]) -> None:
    """Raise a ValueError if --force-settings names what is no setting."""
    known = sorted(known)
    for name in allowed:
        if not any(_is_named(each, [name]) for each in known):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"--force-settings names {name}, which is no setting that is compared{hint}")


def _is_named(name: str, allowed: Iterable[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in allowed)
