"""What a model costs: parameters by part and the floating-point operations (FLOPs) of a training step.

The count is of the products that the mathematics needs, two operations for each multiplication: the matrices
of the layers at every position, a head at every target of its block, and attention at every pair of a query
and a key that it sees. The backward pass costs twice the forward pass. Work that a technique repeats or
wastes (activation checkpointing, masked scores) does not count, so that model-FLOPs utilisation (Chowdhery et
al. 2022, arXiv:2204.02311, appendix B) shows how well the hardware is used.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..batch import Batch
from ..model.transformer import PrefixLM


@dataclass(frozen=True)
class Parameters:
    """Number of parameters of each part.

    Args:
        body: the layers and the last norm.
        embeddings: tables of ids and of places, and the map of given features.
        heads: everything between hidden states and logits.
    """

    body: int
    embeddings: int
    heads: int

    @classmethod
    def of(cls, model: PrefixLM) -> "Parameters":
        return cls(
            _count(model.layers) + _count(model.norm),
            _count(model.tokens)
            + _count(model.places)
            + (_count(model.features) if model.features is not None else 0),
            _count(model.heads),
        )

    @property
    def total(self) -> int:
        return self.body + self.embeddings + self.heads


def training_flops(model: PrefixLM, batch: Batch, target_block: Int[Tensor, " targets"]) -> Float[Tensor, ""]:
    """Operations of the forward and backward pass of a batch."""
    return 3 * forward_flops(model, batch, target_block)


def forward_flops(model: PrefixLM, batch: Batch, target_block: Int[Tensor, " targets"]) -> Float[Tensor, ""]:
    """Operations of the forward pass of a batch, and of generating its targets with a cache.

    Args:
        target_block: index into `model.blocks` of every target.
    """
    heads = [
        matrix_weights(model.heads[block.name]) if block.name in model.heads else 0 for block in model.blocks
    ]
    of_targets = torch.bincount(target_block, minlength=len(heads)) * torch.tensor(
        heads, device=target_block.device
    )
    products = matrix_weights(model.layers) * batch.length.sum() + of_targets.sum()
    scores = model.config.layers * 2 * model.config.dim * visible_pairs(batch)
    return 2 * (products + scores).double()


def visible_pairs(batch: Batch) -> Int[Tensor, ""]:
    """Number of (query, key) pairs that attention needs: prefix with prefix, then causal."""
    prefix, length = batch.prefix_length, batch.length
    return (prefix**2 + (length * (length + 1) - prefix * (prefix + 1)) // 2).sum()


def matrix_weights(module: nn.Module) -> int:
    """Number of weights in matrix products: of linear maps, not of tables and norms."""
    return sum(each.weight.numel() for each in module.modules() if isinstance(each, nn.Linear))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
