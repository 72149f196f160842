"""The optimizer and the care of gradients that every stage of training shares."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate

# Coefficients of the quintic iteration that drives singular values to about 1 (Jordan et al. 2024).
_QUINTIC = (3.4445, -4.7750, 2.0315)
_MUCH_WIDER = 3  # columns for each row from which iterating the square X X^T in single precision is cheaper


class Muon(torch.optim.Optimizer):
    """Muon on the matrices inside a network, AdamW on everything else, in one optimizer.

    Muon replaces each momentum by the nearest orthogonal matrix, so that all directions of a weight learn at
    one pace (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"). A convolution's
    kernel counts as the matrix (out, in * height * width). A weight that is sharded over processes (DTensor)
    has its momentum sharded too; each process gathers the whole momentum to orthogonalise it and keeps its
    own part of the result.

    Args:
        parameters: from `parameter_groups`.
        learning_rate: of the matrices; an update changes a weight by about this share of its scale.
        adam_learning_rate: of the rest.
        momentum: of the matrices (Nesterov's).
        betas: of AdamW.
        weight_decay: of the matrices, decoupled from the gradient. A group added later has its own.
    """

    def __init__(
        self,
        parameters: tuple[list[nn.Parameter], list[nn.Parameter]],
        learning_rate: float = 0.02,
        adam_learning_rate: float = 3e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.0,
    ):
        matrices, others = parameters
        groups = [
            {"params": matrices, "lr": learning_rate, "is_matrix": True},
            {"params": others, "lr": adam_learning_rate, "is_matrix": False, "weight_decay": 0.0},
        ]
        defaults = {"momentum": momentum, "betas": betas, "weight_decay": weight_decay}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if group["weight_decay"]:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                update = self._orthogonal if group["is_matrix"] else self._adam
                parameter.add_(update(parameter, group), alpha=-group["lr"])
        return loss

    def _orthogonal(self, parameter: nn.Parameter, group: dict) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].mul_(group["momentum"]).add_(parameter.grad)
        ahead = _whole(parameter.grad + group["momentum"] * momentum)
        matrix = ahead.flatten(1)
        scale = max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5
        half = has_fast_bfloat16(parameter.device.type)  # which is exact enough here
        update = orthogonalized(matrix, torch.bfloat16 if half else torch.float32).view_as(ahead) * scale
        return _placed_like(update, parameter)

    def _adam(self, parameter: nn.Parameter, group: dict) -> Tensor:
        state = self.state[parameter]
        if not state:
            state.update(step=0, mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
        state["step"] += 1
        first, second = group["betas"]
        mean = state["mean"].lerp_(parameter.grad, 1 - first) / (1 - first ** state["step"])
        square = state["square"].lerp_(parameter.grad.square(), 1 - second) / (1 - second ** state["step"])
        return mean / (square.sqrt() + 1e-8)


def clip_gradients(networks: Iterable[nn.Module | None], limit: float | None, algorithm: str | None) -> None:
    """Clip the gradients of each network by itself: of several that are trained against each other.

    Args:
        limit: of the norm of all gradients of a network; None or 0 leaves them.
        algorithm: "value" limits every single gradient instead.
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
    norms = [_whole(nn.utils.get_total_norm(gradients)) for gradients in groups.values()]
    return torch.stack(norms).norm() if norms else torch.zeros(())


def parameter_groups(
    matrices: Iterable[nn.Module], model: nn.Module
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The weights of the modules `matrices`, and all other parameters of `model`."""
    chosen = [module.weight for module in matrices]
    ids = {id(weight) for weight in chosen}
    return chosen, [parameter for parameter in model.parameters() if id(parameter) not in ids]


def orthogonalized(
    matrix: Float[Tensor, "rows columns"], dtype: torch.dtype = torch.float32, steps: int = 5
) -> Float[Tensor, "rows columns"]:
    """About U V^T for a matrix U S V^T: its singular values are brought to between 0.7 and 1.2.

    A Newton-Schulz iteration, X <- (a + b G + c G^2) X with G = X X^T, which needs matrix products only.
    They are made in `dtype`, but for much wider (or taller) matrices in the matrix' own: there only G is
    iterated, in which the squares of small singular values stand, and half precision would lose them. On GPUs
    half precision is ten times as fast, so that iterating all of the matrix in it costs less.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    in_half_on_gpu = matrix.is_cuda and dtype != matrix.dtype
    if wide.shape[1] >= _MUCH_WIDER * wide.shape[0] and not in_half_on_gpu:
        wide = _factor(wide @ wide.T, steps) @ wide
    else:
        wide = wide.to(dtype)
        linear, cubic, quintic = _QUINTIC
        for _ in range(steps):
            gram = wide @ wide.T
            wide = linear * wide + (cubic * gram + quintic * gram @ gram) @ wide
    return (wide if matrix.shape[0] <= matrix.shape[1] else wide.T).to(matrix.dtype)


def _factor(gram: Float[Tensor, "rows rows"], steps: int) -> Float[Tensor, "rows rows"]:
    """What the iteration multiplies a matrix X by in all, given X X^T: its steps' polynomials commute."""
    linear, cubic, quintic = _QUINTIC
    whole = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    for step in range(steps):
        factor = torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic)
        factor.diagonal().add_(linear)
        whole = whole @ factor
        if step < steps - 1:
            gram = factor @ gram @ factor
    return whole


@cache
def has_fast_bfloat16(device: str) -> bool:
    """Whether a kind of device ("cpu", "cuda", ...) multiplies faster in bfloat16 than in float32.

    Of CPUs, those with tiles (AMX), four to five times as fast; by the dot products of AVX-512 alone PyTorch
    is half as fast as in float32.
    """
    if device == "cpu":
        return torch.cpu._is_amx_tile_supported()
    return device != "cuda" or torch.cuda.is_bf16_supported()


def _whole(tensor: Tensor) -> Tensor:
    """A sharded tensor gathered on every process; any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _placed_like(tensor: Tensor, reference: Tensor) -> Tensor:
    """Each process' part of a tensor that all of them hold, sharded as `reference` is."""
    if not isinstance(reference, DTensor):
        return tensor
    mesh = reference.device_mesh
    everywhere = DTensor.from_local(tensor, mesh, [Replicate()] * mesh.ndim, run_check=False)
    return everywhere.redistribute(mesh, reference.placements)
