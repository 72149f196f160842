"""Sums and means over the processes of a distributed run; of one process, what is given."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed


def is_distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def mean_over_processes(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The mean of every element, without gradient; all processes call it and get the same."""
    if not is_distributed():
        return values
    total = values.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


def of_all_processes(value: Any) -> list[Any]:
    """What each process has, in their order: for few numbers and names, since it is pickled."""
    if not is_distributed():
        return [value]
    everywhere = [None] * distributed.get_world_size()
    distributed.all_gather_object(everywhere, value)
    return everywhere


def sum_over_processes(counts: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """The sum of every count; all processes call it and get the same."""
    if is_distributed():
        counts = counts.clone()
        distributed.all_reduce(counts)
    return counts
