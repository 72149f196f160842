"""Signs of how a training fares: certainty of the heads, use of the codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .batch import Batch
from .transformer import PrefixLM

ENTROPY_ROWS = 256  # positions of a block whose predictions are looked at


@contextmanager
def watching(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what `module` returns when it is called inside the block, without gradient."""
    outputs: list[Tensor] = []
    hook = module.register_forward_hook(lambda _, __, output: outputs.append(output.detach()))
    try:
        yield outputs
    finally:
        hook.remove()


@torch.no_grad()
def head_entropies(
    model: PrefixLM, batch: Batch, hidden: Float[Tensor, "rows positions dim"]
) -> dict[str, float]:
    """Mean entropy in nats of what every head predicts for each digit: "visual/0", "visual/1", ...

    Args:
        hidden: what the model made of the batch. Some positions of each block are looked at.
    """
    entropies: dict[str, float] = {}
    for index, block in enumerate(model.blocks):
        wanted = ((batch.weight[:, 1:] > 0) & (batch.block[:, 1:] == index)).nonzero()
        if not len(wanted):
            continue
        row, before = wanted[:: len(wanted) // ENTROPY_ROWS + 1].unbind(1)
        digits = block.split(batch.ids[row, before + 1] - block.start)
        head: Any = model.heads[block.name]
        for k in range(len(digits)):
            shares = head.logits(hidden[row, before], digits[:k]).float().softmax(-1)
            entropies[f"{block.name}/{k}"] = torch.special.entr(shares).sum(-1).mean().item()
    return entropies


class CodeUsage:
    """Which codes of every block were targets since the last report."""

    def __init__(self) -> None:
        self.counts: dict[str, Tensor] = {}

    def add(self, model: PrefixLM, batch: Batch) -> None:
        for index, block in enumerate(model.blocks):
            codes = batch.ids[(batch.weight > 0) & (batch.block == index)] - block.start
            if block.name in model.heads and len(codes):
                counts = torch.bincount(codes, minlength=block.size)
                self.counts[block.name] = self.counts.get(block.name, 0) + counts

    def report(self) -> dict[str, float]:
        """exp(entropy) of the codes of each block, the number in even use that would carry as much."""
        shares = {name: counts.double() / counts.sum() for name, counts in self.counts.items()}
        self.counts = {}
        return {name: torch.special.entr(share).sum().exp().item() for name, share in shares.items()}
