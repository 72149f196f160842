"""Diagnostics of a training: entropy of the heads' predictions, perplexity and histogram of target codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor, nn

from ...training.processes import sum_over_processes
from ..batch import Batch
from ..model.transformer import PrefixLM

ENTROPY_ROWS = 256  # positions of a block whose predictions count
HISTOGRAM_BARS = 64


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

    Heads of blocks that are no targets are called all the same, with no rows, and left out of the result:
    where a head's weights are divided among processes, all of them gather these for each call.

    Args:
        hidden: the model's output for the batch, of which some positions of each block are used.
    """
    entropies: dict[str, float] = {}
    for index, block in enumerate(model.blocks):
        if block.name not in model.heads:
            continue
        wanted = ((batch.weight[:, 1:] > 0) & (batch.block[:, 1:] == index)).nonzero()
        row, before = wanted[:: len(wanted) // ENTROPY_ROWS + 1].unbind(1)
        digits = block.split(batch.ids[row, before + 1] - block.start)
        head = model.head(block.name)
        for k in range(len(digits)):
            shares = head.logits(hidden[row, before], digits[:k]).float().softmax(-1)
            if len(wanted):
                entropies[f"{block.name}/{k}"] = torch.special.entr(shares).sum(-1).mean().item()
    return entropies


class CodeUsage:
    """Which codes of every block were targets since the last report, of all processes."""

    def __init__(self) -> None:
        self.counts: dict[str, Tensor] = {}

    def add(self, model: PrefixLM, batch: Batch) -> None:
        for index, block in enumerate(model.blocks):
            codes = batch.ids[(batch.weight > 0) & (batch.block == index)] - block.start
            if block.name in model.heads:  # each, so that all processes have the same blocks
                counts = torch.bincount(codes, minlength=block.size)
                self.counts[block.name] = self.counts.get(block.name, 0) + counts

    def report(self) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Perplexity and counts of the codes of each block that has any, which are then forgotten.

        Called by all processes, after at least one batch on each.

        The perplexity is exp(entropy): as many codes, used evenly, would have the same entropy.
        """
        counts = {name: sum_over_processes(each) for name, each in self.counts.items()}
        counts, self.counts = {name: each for name, each in counts.items() if each.any()}, {}
        shares = {name: each.double() / each.sum() for name, each in counts.items()}
        perplexities = {name: torch.special.entr(share).sum().exp().item() for name, share in shares.items()}
        return perplexities, counts


def log_histogram(loggers: list[Any], name: str, counts: Tensor, step: int) -> None:
    """Show how often codes occurred, in bars of neighbouring codes, in TensorBoard and Weights & Biases."""
    listening = [each for each in loggers if isinstance(each, TensorBoardLogger | WandbLogger)]
    if not listening:
        return
    parts = counts.cpu().tensor_split(min(HISTOGRAM_BARS, len(counts)))
    bars = np.array([part.sum().item() for part in parts])
    edges = np.cumsum([0, *map(len, parts)])
    for logger in listening:
        if isinstance(logger, WandbLogger):
            import wandb

            bar_chart = wandb.Histogram(np_histogram=(bars, edges))
            logger.experiment.log({name: bar_chart, "trainer/global_step": step})
            continue
        codes = torch.arange(len(counts), dtype=torch.double)
        weights = counts.cpu().double()
        logger.experiment.add_histogram_raw(
            name,
            min=0,
            max=len(counts) - 1,
            num=int(bars.sum()),
            sum=float(weights @ codes),
            sum_squares=float(weights @ codes.square()),
            bucket_limits=(edges[1:] - 1).tolist(),  # the last code of each bar
            bucket_counts=bars.tolist(),
            global_step=step,
        )
