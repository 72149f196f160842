"""Skipping training steps with a non-finite gradient, and giving up after too many in a row."""

import math

import torch
from lightning import LightningModule

from ..data.runtime.notes import notify


class SkippedSteps:
    """Skips and counts the steps whose gradients are non-finite.

    Args:
        limit: so many in a row end the training.

    Raises:
        ValueError: if the limit is below 1.
    """

    def __init__(self, limit: int):
        if limit < 1:
            raise ValueError(f"max_skipped_steps is {limit}; expected at least 1")
        self.limit = limit
        self.skipped = 0
        self.in_a_row = 0
        self._reported = 0

    def since_report(self) -> float:
        """Steps that were skipped since this was asked before, for the logs."""
        new, self._reported = self.skipped - self._reported, self.skipped
        return float(new)

    def skip_if_non_finite(
        self, module: LightningModule, optimizer: torch.optim.Optimizer, gradient_norm: float, loss: float
    ) -> bool:
        """Skip this step if its gradients' norm is non-finite: warn, and drop the gradients.

        Args:
            loss: only for the message.

        Returns:
            Whether the step is skipped.

        Raises:
            ValueError: if `limit` steps in a row had to be skipped.
        """
        reason = self._reason(gradient_norm, loss, module.global_step)
        if reason is None:
            return False
        notify(reason)
        optimizer.zero_grad(set_to_none=True)
        return True

    def _reason(self, gradient_norm: float, loss: float, step: int) -> str | None:
        if math.isfinite(gradient_norm):
            self.in_a_row = 0
            return None
        self.skipped += 1
        self.in_a_row += 1
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradients' norm is {gradient_norm}"
        if self.in_a_row >= self.limit:
            raise ValueError(
                f"{what} at step {step}, and {self.limit} steps in a row were non-finite: nothing is learnt "
                "any more; lower the learning rate or lengthen the warm-up, and go on from last.ckpt"
            )
        return f"step {step} is skipped: {what}"
