"""Checkpoints that are whole or absent: Lightning's CheckpointIO, and the choice of the one to go on from.

    Trainer(plugins=[WholeCheckpointIO()], callbacks=[ModelCheckpoint(…)])
    found = find_checkpoint(folder)     # found.path, and what found.torn says of those passed over

A sharded checkpoint (a folder) is not written through a CheckpointIO; run_checkpoint.py moves it to its
place.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from ..data.runtime.files import link_tree, replacing
from ..data.runtime.remote import is_address

LAST = "last.ckpt"
# Checksums of all that a larger file holds would take minutes: of it, its directory and small members.
_MOST_BYTES_SUMMED = 2**30
_SMALL_MEMBER = 2**20
_SHARDED = (".metadata", "meta.pt")  # written last, by torch and by Lightning


@dataclass(frozen=True)
class SecondName:
    """Storage options of WholeCheckpointIO: where else the checkpoint is to be found once it is written."""

    path: Path


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, flushes it and renames it; loads nothing that runs code.

    The former file of that name is there until then. Files at an address (s3://…) are left to Lightning.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        second = storage_options if isinstance(storage_options, SecondName) else None
        if (storage_options is not None and second is None) or is_address(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        # Opened here: torch's own file says of a full disk that it failed, not why.
        with replacing(Path(path)) as temporary, temporary.open("wb") as file:
            torch.save(checkpoint, file)
        if second is not None:
            with replacing(second.path) as temporary:
                link_tree(Path(path), temporary)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable | None = lambda storage, loc: storage,
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        """As Lightning's, but nothing else than tensors, numbers and texts unless `weights_only` is False."""
        return super().load_checkpoint(path, map_location, weights_only is not False)


@dataclass(frozen=True)
class Found:
    """The checkpoint to go on from.

    Args:
        path: None if there is none.
        torn: of each that is not whole: its name and why.
    """

    path: Path | None
    torn: list[str] = field(default_factory=list)


def find_checkpoint(folder: Path) -> Found:
    """The checkpoint of a folder to go on from: last.ckpt, or the one of most steps if that is not whole.

    Raises:
        ValueError: if there are checkpoints and none is whole.
    """
    torn: list[str] = []
    last, others = folder / LAST, sorted(set(folder.glob("*.ckpt")) - {folder / LAST})
    if last.exists():
        if (problem := problem_of(last)) is None:
            return Found(last)
        torn.append(f"{last} is not whole: {problem}")
        steps: dict[Path, int] = {}
        for path in others:
            if (problem := problem_of(path)) is None:
                steps[path] = step_of(path)
            else:
                torn.append(f"{path} is not whole: {problem}")
        if not steps:
            raise ValueError(
                f"{'; '.join(torn)}; there is no other checkpoint to go on from: remove it to begin anew"
            )
        return Found(max(steps, key=lambda path: steps[path]), torn)
    return Found(None)


def problem_of(checkpoint: Path) -> str | None:
    """Why a checkpoint is not whole; None if it is, as far as that can be told soon.

    Of a file up to 1 GiB all checksums are compared; of a larger one the directory, at its end, and the small
    members. Of a sharded one (a folder) it is seen that the files are there that are written last.
    """
    if checkpoint.is_dir():
        missing = [name for name in _SHARDED if not (checkpoint / name).is_file()]
        if missing:
            return f"it has no {missing[0]}"
        return problem_of(checkpoint / _SHARDED[1])
    is_small = checkpoint.stat().st_size <= _MOST_BYTES_SUMMED
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            for member in archive.infolist():
                with archive.open(member) as content:  # compares the header there with the directory
                    if is_small or member.file_size <= _SMALL_MEMBER:
                        while content.read(_SMALL_MEMBER):
                            pass
        step_of(checkpoint)
    except Exception as error:  # zipfile and torch raise many types for a damaged file
        return " ".join(str(error).split()) or type(error).__name__
    return None


def step_of(checkpoint: Path) -> int:
    """Optimizer steps done when a checkpoint was written."""
    return _load(checkpoint)["global_step"]


def batches_of(checkpoint: Path) -> int:
    """The last step that was logged: loggers count batches, not the steps of each optimizer."""
    return _load(checkpoint)["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"]


def _load(checkpoint: Path) -> dict[str, Any]:
    if checkpoint.is_dir():  # sharded: what is not a weight stands in a file of its own
        checkpoint = checkpoint / _SHARDED[1]
    return torch.load(checkpoint, weights_only=True, map_location="cpu", mmap=True)
