"""Codes of long clips, which come in many small parts."""

from collections.abc import Iterable

import torch
from jaxtyping import Int, Int64
from torch import Tensor


def gather(parts: Iterable[Int[Tensor, "..."]], dim: int) -> Int64[Tensor, "..."]:
    """`torch.cat(list(parts), dim)` in one growing buffer; there must be at least one part.

    Small tensors that are held while large ones come and go would keep the memory between them from being
    used again, and a process would grow with the length of a film.
    """
    gathered, shape = bytearray(), torch.Size()
    for part in parts:
        rows = part.long().movedim(dim, 0).contiguous()
        shape = rows.shape[1:]
        gathered += rows.cpu().numpy().data
    return torch.frombuffer(gathered, dtype=torch.int64).reshape(-1, *shape).movedim(0, dim)
