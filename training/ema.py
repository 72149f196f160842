"""Exponential moving average (EMA) of a network's weights, which is evaluated and exported in their place."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Weights = Literal["ema", "raw"]


def check_weights(weights: Weights | None, has_average: bool) -> None:
    """Raise a ValueError if the average is asked for and the run keeps none."""
    if weights == "ema" and not has_average:
        raise ValueError("this run keeps no average of its weights: leave out --weights ema")


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of `network` (`.module`) to be updated after each step: `average.update_parameters(network)`.

    Args:
        decay: share of the old average in the new one. It starts at 1/10 and rises to this value, so that
            at first the average covers about the last tenth of the steps and forgets the initial weights.

    Raises:
        ValueError: if the decay is outside [0, 1).
    """
    if not 0 <= decay < 1:
        raise ValueError(f"the decay of the averaged weights is {decay}; expected at least 0 and below 1")

    @torch.no_grad()
    def update(averages: Iterable[Tensor], weights: Iterable[Tensor], count: Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(list(averages), list(weights), share)

    return AveragedModel(network, multi_avg_fn=update).requires_grad_(False)
