"""Steps of a training that went wrong."""

import math
import warnings

import torch
from lightning import LightningModule


class BadSteps:
    """Steps whose gradients are not numbers: counted, and refused when there are too many in a row.

    Args:
        limit: so many in a row end the training.
    """

    def __init__(self, limit: int):
        if limit < 1:
            raise ValueError(f"max_skipped_steps is {limit}; expected at least 1")
        self.limit = limit
        self.skipped = 0
        self.in_a_row = 0

    def skips(
        self, module: LightningModule, optimizer: torch.optim.Optimizer, gradient_norm: float, loss: float
    ) -> bool:
        """Whether the step is one to skip: then this is said and logged, and the gradients are dropped.

        Raises:
            ValueError: if it is one too many.
        """
        reason = self._reason(gradient_norm, loss, module.global_step)
        if reason is None:
            return False
        module.log("train/skipped_steps", float(self.skipped), batch_size=1)
        warnings.warn(reason, stacklevel=3)
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
                f"{what} at step {step}, the {self.limit}th such step in a row: nothing is learnt any more; "
                "take a lower learning rate or a longer warm-up, and go on from last.ckpt or begin again"
            )
        return f"step {step} is skipped: {what}"
