"""Optimizer and learning rate schedule that every stage of training shares."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Coefficients of the quintic iteration that drives singular values to about 1 (Jordan et al. 2024).
_QUINTIC = (3.4445, -4.7750, 2.0315)
_MUCH_WIDER = 3  # columns for each row from which iterating the square X X^T in single precision is cheaper


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


class Muon(torch.optim.Optimizer):
    """Muon on the matrices inside a network, AdamW on everything else, in one optimizer.

    Muon replaces each momentum by the nearest orthogonal matrix, so that all directions of a weight learn at
    one pace (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"). A convolution's
    kernel counts as the matrix (out, in * height * width).

    Args:
        parameters: from `parameter_groups`.
        learning_rate: of the matrices; an update changes a weight by about this share of its scale.
        adam_learning_rate: of the rest.
        momentum: of the matrices (Nesterov's).
        betas: of AdamW.
        weight_decay: of the matrices, decoupled from the gradient.
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
            {"params": others, "lr": adam_learning_rate, "is_matrix": False},
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
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["is_matrix"]:
                self._step_matrices(parameters, group)
            else:
                for parameter in parameters:
                    parameter.add_(self._adam(parameter, group), alpha=-group["lr"])
        return loss

    def _step_matrices(self, parameters: list[nn.Parameter], group: dict) -> None:
        ahead = [self._ahead(parameter, group["momentum"]).flatten(1) for parameter in parameters]
        for parameter, update in zip(parameters, orthogonalized(ahead), strict=True):
            scale = max(1, update.shape[0] / update.shape[1]) ** 0.5
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update.reshape(parameter.shape), alpha=-group["lr"] * scale)

    def _ahead(self, parameter: nn.Parameter, decay: float) -> Tensor:
        """Nesterov's momentum: where the average of the gradients is going."""
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].mul_(decay).add_(parameter.grad)
        return parameter.grad + decay * momentum

    def _adam(self, parameter: nn.Parameter, group: dict) -> Tensor:
        state = self.state[parameter]
        if not state:
            state.update(step=0, mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
        state["step"] += 1
        first, second = group["betas"]
        mean = state["mean"].lerp_(parameter.grad, 1 - first) / (1 - first ** state["step"])
        square = state["square"].lerp_(parameter.grad.square(), 1 - second) / (1 - second ** state["step"])
        return mean / (square.sqrt() + 1e-8)


def parameter_groups(
    matrices: Iterable[nn.Module], model: nn.Module
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The weights of the modules `matrices`, and all other parameters of `model`."""
    chosen = [module.weight for module in matrices]
    ids = {id(weight) for weight in chosen}
    return chosen, [parameter for parameter in model.parameters() if id(parameter) not in ids]


def orthogonalized(
    matrices: Sequence[Float[Tensor, "_ _"]], steps: int = 5
) -> list[Float[Tensor, "_ _"]]:
    """About U V^T for each matrix U S V^T: its singular values are brought to between 0.7 and 1.2.

    A Newton-Schulz iteration, X <- (a + b G + c G^2) X with G = X X^T, which needs matrix products only.
    """
    wide = [matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T for matrix in matrices]
    wide = [matrix / (matrix.norm() + 1e-7) for matrix in wide]
    by_rows: dict[int, list[int]] = {}
    for index, matrix in enumerate(wide):
        if matrix.shape[1] < _MUCH_WIDER * matrix.shape[0]:
            wide[index] = _iterated(matrix, steps)
        else:
            by_rows.setdefault(matrix.shape[0], []).append(index)
    for indices in by_rows.values():
        grams = torch.stack([wide[index] @ wide[index].T for index in indices])
        for index, factor in zip(indices, _factors(grams, steps), strict=True):
            wide[index] = factor @ wide[index]
    shaped = zip(matrices, wide, strict=True)
    return [result if matrix.shape[0] <= matrix.shape[1] else result.T for matrix, result in shaped]


def _iterated(matrix: Float[Tensor, "rows columns"], steps: int) -> Float[Tensor, "rows columns"]:
    """The iteration itself."""
    linear, cubic, quintic = _QUINTIC
    half = has_fast_bfloat16(matrix.device.type)  # which is exact enough here
    result = matrix.to(torch.bfloat16 if half else torch.float32)
    for _ in range(steps):
        gram = result @ result.T
        result = linear * result + (cubic * gram + quintic * gram @ gram) @ result
    return result.to(matrix.dtype)


def _factors(grams: Float[Tensor, "many rows rows"], steps: int) -> Float[Tensor, "many rows rows"]:
    """What the iteration multiplies matrices by in all, given their X X^T.

    Each step's polynomial commutes with the others, so only small square matrices are iterated, of many
    matrices side by side. The squares of small singular values stand in them, which half precision loses.
    """
    linear, cubic, quintic = _QUINTIC
    whole = torch.eye(grams.shape[-1], dtype=grams.dtype, device=grams.device).expand_as(grams)
    for step in range(steps):
        factor = torch.baddbmm(grams, grams, grams, beta=cubic, alpha=quintic)
        factor.diagonal(dim1=-2, dim2=-1).add_(linear)
        whole = factor if step == 0 else whole @ factor
        if step < steps - 1:
            grams = factor @ grams @ factor
    return whole


@cache
def has_fast_bfloat16(device: str) -> bool:
    """Whether a kind of device ("cpu", "cuda", ...) has instructions for products in bfloat16."""
    if device == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    return device != "cuda" or torch.cuda.is_bf16_supported()
