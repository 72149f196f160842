"""Learning-rate schedules: a linear warm-up, then cosine, warmup-stable-decay (WSD) or constant."""

import math
from typing import Any, Literal, get_args

import torch

Schedule = Literal["cosine", "wsd", "constant"]


def warmup_cosine(step: int, warmup_steps: int, total_steps: float) -> float:
    """Share of the peak learning rate: a linear rise, then a cosine to zero at `total_steps`.

    A run without an end (infinite `total_steps`) keeps the peak.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if math.isinf(total_steps):
        return 1.0
    done = (step - warmup_steps) / max(total_steps - warmup_steps, 1)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def warmup_stable_decay(step: int, warmup_steps: int, total_steps: float, decay_share: float) -> float:
    """Share of the peak learning rate: a linear rise, the peak, then 1 - sqrt down to zero at the end.

    Until the decay the rate does not depend on where the run ends, so that a checkpoint from before can be
    trained on for longer (Haegele et al. 2024, arXiv:2405.18392, section 3 and figure 5 for the form).

    Args:
        decay_share: part of `total_steps` over which the rate falls.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if math.isinf(total_steps):
        return 1.0
    decay_steps = max(decay_share * total_steps, 1)
    done = (step - (total_steps - decay_steps)) / decay_steps
    return 1 - math.sqrt(min(max(done, 0.0), 1.0))


def scheduled(
    optimizer: torch.optim.Optimizer,
    warmup_steps: int,
    total_steps: float,
    schedule: Schedule = "cosine",
    decay_share: float = 0.2,
) -> dict[str, Any]:
    """What `configure_optimizers` of a LightningModule returns: all rates along one schedule.

    Args:
        schedule: "cosine" (`warmup_cosine`), "wsd" (`warmup_stable_decay`), or "constant" after the rise.
        decay_share: of "wsd".

    Raises:
        ValueError: if the schedule is unknown or the share is not one.
    """
    if schedule not in get_args(Schedule) or not 0 < decay_share <= 1:
        raise ValueError(
            f"schedule is {schedule!r} with decay_share {decay_share}; expected one of {get_args(Schedule)} "
            "and a share above 0, up to 1"
        )

    def share(step: int) -> float:
        if schedule == "wsd":
            return warmup_stable_decay(step, warmup_steps, total_steps, decay_share)
        return warmup_cosine(step, warmup_steps, math.inf if schedule == "constant" else total_steps)

    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}
