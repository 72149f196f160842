"""Gradient clipping and gradient norms, also of sharded parameters."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .sharded_tensors import whole


def clip_gradients(networks: Iterable[nn.Module | None], limit: float | None, algorithm: str | None) -> None:
    """Clip the gradients of each network by itself, such as those of a generator and its discriminator.

    Args:
        limit: of the norm of all gradients of a network; None or 0 leaves them.
        algorithm: "value" limits every element of a gradient instead.
    """
    for network in networks:
        if network is None or not limit:
            continue
        if algorithm == "value":
            nn.utils.clip_grad_value_(network.parameters(), limit)
        else:
            nn.utils.clip_grad_norm_(network.parameters(), limit)


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Float[Tensor, ""]:
    """Norm of all gradients together, the same on every process if they are sharded (DTensor).

    Parameters may be sharded over different meshes of processes, or not at all.
    """
    groups: dict[Any, list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            groups.setdefault(getattr(parameter.grad, "device_mesh", None), []).append(parameter.grad)
    norms = [whole(nn.utils.get_total_norm(gradients)) for gradients in groups.values()]
    return torch.stack(norms).norm() if norms else torch.zeros(())
