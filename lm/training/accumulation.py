"""One mean over the targets of all processes and all accumulated batches."""

import torch
from jaxtyping import Float
from torch import Tensor


class TargetMean:
    """Turns sums over targets into gradients of the mean over all targets of an optimizer step.

    The mean of the means of several batches would weigh a target of a short batch more than one of a long
    batch. How many targets the later batches have is not known when the first one is differentiated: each
    is divided by the weight of the first, and the accumulated gradients are corrected before the step.
    """

    def __init__(self) -> None:
        self._first: Tensor | None = None
        self._all = torch.zeros(())

    def loss(self, total: Float[Tensor, ""], weight: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """What to differentiate for a batch.

        Args:
            total: sum over this process' targets.
            weight: of the targets, the mean over all processes, whose gradients are averaged too.
        """
        if self._first is None:
            self._first, self._all = weight, torch.zeros_like(weight)
        self._all = self._all + weight
        return total / self._first

    def correction(self, batches: int) -> float:
        """What to multiply the gradients by before the step, if each loss was divided by `batches`."""
        assert self._first is not None
        first, self._first = self._first, None
        return 1.0 if batches == 1 else batches * float(first / self._all)
