"""Activation checkpointing: layers keep only their input and recompute the rest in the backward pass.

A layer's activations then take the memory of one tensor (batch, length, dim), for a third more matrix
products (Chen et al. 2016, arXiv:1604.06174).
"""

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint


def checkpoint_layers(layers: nn.ModuleList, every: int) -> None:
    """Checkpoint every n-th layer, in place; the names of the weights stay.

    Args:
        every: n; 1 takes all layers, 0 none.

    Raises:
        ValueError: if it is negative.
    """
    if every < 0:
        raise ValueError(f"activation_checkpointing is {every}; expected 0 (none), 1 (all layers), 2, …")
    for index, layer in enumerate(layers):
        if every and index % every == 0:
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
