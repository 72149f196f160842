"""Memory of a training and size of its checkpoints, as measured in its first minute."""

import resource
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


def peak_bytes(device: torch.device) -> int:
    """The most memory so far: of tensors on a GPU, of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def checkpoint_bytes(module: nn.Module, optimizers: Iterable[torch.optim.Optimizer]) -> int:
    """Bytes of the weights and of what the optimizers keep of them: nearly all of a checkpoint.

    Sharded tensors count whole. The optimizers have made a step.
    """
    states = [module.state_dict(), *(optimizer.state for optimizer in optimizers)]
    tensors = {id(each): each for state in states for each in _tensors(state)}
    return sum(each.numel() * each.element_size() for each in tensors.values())


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each)
