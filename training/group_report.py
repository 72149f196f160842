"""Learning rate and gradient norm of each group of an optimizer, for the logs."""

import torch

from .gradients import gradient_norm


def group_report(optimizer: torch.optim.Optimizer, scale: float = 1.0) -> dict[str, float]:
    """`learning_rate/NAME` and `gradient_norm/NAME` of each group, for the step that is about to be made.

    All processes call it: the gradients of a sharded model are measured together. A group is called by its
    "name" or, without one, by its number.

    Args:
        scale: what the gradients are still to be multiplied by.
    """
    found: dict[str, float] = {}
    for number, group in enumerate(optimizer.param_groups):
        name = group.get("name", str(number))
        found[f"learning_rate/{name}"] = float(group["lr"])
        found[f"gradient_norm/{name}"] = float(gradient_norm(group["params"])) * scale
    return found
