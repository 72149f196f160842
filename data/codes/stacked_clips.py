"""Codes of clips that are all of one shape: stacked in a shard, a tensor for each name."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from .clip_format import ClipFormat


class StackedRows:
    """The clips of one shard, by number.

    Args:
        opened: a safetensors file.
    """

    def __init__(self, opened: Any):
        self._opened = opened

    def codes(self, row: int, name: str) -> Int[Tensor, "..."]:
        return self._opened.get_slice(name)[row].long()


def stacked(waiting: Sequence[dict[str, Tensor]], clips: ClipFormat) -> dict[str, Tensor]:
    """The tensors of a shard from the codes of its clips; zeros for the sound of one that has none."""
    absent = {name: torch.zeros(shape, dtype=torch.int64) for name, shape in clips.shapes.items()}
    return {name: torch.stack([codes.get(name, absent[name]).cpu() for codes in waiting]) for name in absent}
