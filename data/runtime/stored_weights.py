"""Weights stored in fewer bits than they are computed in: whatever a part is stored in, it loads in float32.

A rounded tokenizer is another tokenizer: its fingerprint is that of the rounded weights, before and after
loading, because every value of bfloat16 and of float16 is one of float32, too.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from .checksums import CHECKSUMS, record_checksums
from .files import replacing
from .weights_file import some

Weights = Literal["float32", "bfloat16", "float16"]
_FILE = "model.safetensors"


def save_part(save: Callable[[Path], None], folder: Path, weights: Weights) -> None:
    """Write a part of a model with its floating-point weights in one format, whole or not at all.

    Args:
        save: writes the part to a folder.

    Raises:
        ValueError: if a weight is beyond the range of the format.
    """
    with replacing(folder) as temporary:
        save(temporary)
        _store_as(temporary, getattr(torch, weights))


def _store_as(folder: Path, dtype: torch.dtype) -> None:
    """Round the weights of a folder, if it has some of another format, and their checksum."""
    path = folder / _FILE
    if not path.is_file():
        return
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    rounded = {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}
    if all(rounded[name].dtype == value.dtype for name, value in state.items()):
        return
    if lost := [name for name, value in rounded.items() if _has_grown_infinite(value, state[name])]:
        raise ValueError(f"{some(lost)} are beyond the range of {dtype}; bfloat16 has that of float32")
    with replacing(path) as temporary:
        save_file(rounded, temporary, metadata)
    if (folder / CHECKSUMS).is_file():
        record_checksums(folder, _FILE)


def _has_grown_infinite(rounded: torch.Tensor, value: torch.Tensor) -> bool:
    return rounded.is_floating_point() and bool((value.isfinite() & ~rounded.isfinite()).any())
