"""Activation checkpointing: layers that keep only their input and compute the rest again when it is needed.

It lowers the memory of a layer's activations to that of one tensor (batch, length, dim) for a third more
products (Chen et al. 2016, arXiv:1604.06174).
"""

from functools import partial

from torch.utils.checkpoint import checkpoint

from .transformer import PrefixLM


def recompute_layers(model: PrefixLM, every: int) -> None:
    """Make every so-many-th layer of a model such a one, in place; names of weights stay.

    Args:
        every: 1 takes all layers, 2 every second one, 0 none.
    """
    if every < 0:
        raise ValueError(f"activation_checkpointing is {every}; expected 0 (none), 1 (all layers), 2, …")
    for index, layer in enumerate(model.layers):
        if every and index % every == 0:
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
