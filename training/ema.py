"""Running averages of a network's weights, which are better than the last weights themselves."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of `network` (`.module`) to be updated after each step: `average.update_parameters(network)`.

    Args:
        decay: share of the old average in the new one. It rises to this value, so that the average is over
            about the last tenth of all steps at first and a short run forgets its start too.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"the decay of the averaged weights is {decay}; expected at least 0 and below 1")

    @torch.no_grad()
    def update(averages: Iterable[Tensor], weights: Iterable[Tensor], count: Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(list(averages), list(weights), share)

    return AveragedModel(network, multi_avg_fn=update).requires_grad_(False)
