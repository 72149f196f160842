"""The Muon optimizer, with AdamW for everything that is not a matrix.

Why not torch.optim.Muon (PyTorch 2.13): it refuses weights that are not two-dimensional, so convolution
kernels are left out and everything else needs a second optimizer. It iterates one matrix at a time and always
in bfloat16, which is slower than float32 on CPUs without AMX. For a sharded weight (FSDP2) it needs 11
all-reduces, two in each step of the iteration, where one gather does.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .precision import has_fast_bfloat16
from .sharded_tensors import sharded_like, whole

# Coefficients of the quintic iteration that drives singular values to about 1 (Jordan et al. 2024).
_QUINTIC = (3.4445, -4.7750, 2.0315)
# From this aspect ratio on, Newton-Schulz on X X^T in float32 is cheaper than on X in this type.
_WIDER = {torch.bfloat16: 3, torch.float32: 2}
# Elements of a batch of matrices that are orthogonalised together. Larger batches would only take memory on
# CPUs; on GPUs the kernels of one matrix of a million elements take longer to launch than to run.
_TOGETHER = {"cpu": 2**21, "cuda": 2**25}


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
            {"params": matrices, "lr": learning_rate, "is_matrix": True, "name": "matrices"},
            {
                "params": others,
                "lr": adam_learning_rate,
                "is_matrix": False,
                "weight_decay": 0.0,
                "name": "others",
            },
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
            parameters = [each for each in group["params"] if each.grad is not None]
            changes = self._orthogonal if group["is_matrix"] else self._adam
            for parameter, change in changes(parameters, group):
                if group["weight_decay"]:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(change, alpha=-group["lr"])
        return loss

    def _orthogonal(
        self, parameters: list[nn.Parameter], group: dict
    ) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Each matrix and its change; those of one shape are orthogonalised together."""
        for alike in _alike(parameters):
            ahead = []
            for parameter in alike:
                state, gradient = self.state[parameter], parameter.grad
                assert gradient is not None
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].mul_(group["momentum"]).add_(gradient)
                ahead.append(whole(gradient.add(momentum, alpha=group["momentum"])))
            matrices = torch.stack([each.flatten(1) for each in ahead])
            rows, columns = matrices.shape[1:]
            half = has_fast_bfloat16(matrices.device.type)  # which is exact enough here
            updates = orthogonalized(matrices, torch.bfloat16 if half else torch.float32)
            updates = updates.mul_(max(1, rows / columns) ** 0.5)
            for parameter, update in zip(alike, updates, strict=True):
                yield parameter, sharded_like(update.view(parameter.shape), parameter)

    def _adam(self, parameters: list[nn.Parameter], group: dict) -> Iterator[tuple[nn.Parameter, Tensor]]:
        first, second = group["betas"]
        for parameter in parameters:
            state, gradient = self.state[parameter], parameter.grad
            assert gradient is not None
            if not state:
                state.update(step=0, mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
            state["step"] += 1
            mean = state["mean"].lerp_(gradient, 1 - first) / (1 - first ** state["step"])
            square = state["square"].lerp_(gradient.square(), 1 - second)
            yield parameter, mean / ((square / (1 - second ** state["step"])).sqrt() + 1e-8)


def parameter_groups(
    matrices: Iterable[nn.Module], model: nn.Module
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The weights of the modules `matrices`, and all other parameters of `model`."""
    chosen = [module.get_parameter("weight") for module in matrices]
    ids = {id(weight) for weight in chosen}
    return chosen, [parameter for parameter in model.parameters() if id(parameter) not in ids]


def orthogonalized(
    matrices: Float[Tensor, "batch rows columns"], dtype: torch.dtype = torch.float32, steps: int = 5
) -> Float[Tensor, "batch rows columns"]:
    """About U V^T for matrices U S V^T: their singular values are brought to between 0.7 and 1.2.

    A Newton-Schulz iteration, X <- (a + b G + c G^2) X with G = X X^T, which needs matrix products only.
    The products have type `dtype`. Of much wider (or taller) matrices only G is iterated, and in the type of
    the matrices: G holds squares of small singular values, which half precision would lose. On GPUs half
    precision is ten times as fast, so there the whole matrix is iterated in it, whatever its shape.
    """
    is_tall = matrices.shape[1] > matrices.shape[2]
    wide = matrices.mT if is_tall else matrices
    size = torch.linalg.vector_norm(wide, dim=(1, 2), keepdim=True).add_(1e-7)
    in_half_on_gpu = matrices.is_cuda and dtype != matrices.dtype
    if wide.shape[2] >= _WIDER[dtype] * wide.shape[1] and not in_half_on_gpu:
        wide = _factor((wide @ wide.mT).div_(size.square()), steps).div_(size) @ wide
    else:
        wide = (wide / size).to(dtype)
        for _ in range(steps):
            gram = wide @ wide.mT
            wide = torch.baddbmm(wide, _quadratic(gram), wide, beta=_QUINTIC[0])
    return (wide.mT if is_tall else wide).to(matrices.dtype)


def _factor(gram: Float[Tensor, "batch rows rows"], steps: int) -> Float[Tensor, "batch rows rows"]:
    """The product of all steps' factors, by which X is multiplied, given X X^T: the factors commute."""
    whole = factor = _polynomial(gram)
    for _ in range(steps - 1):
        gram = factor @ gram @ factor
        factor = _polynomial(gram)
        whole = whole @ factor
    return whole


def _polynomial(gram: Float[Tensor, "batch rows rows"]) -> Float[Tensor, "batch rows rows"]:
    """a + b G + c G^2."""
    result = _quadratic(gram)
    result.diagonal(dim1=1, dim2=2).add_(_QUINTIC[0])
    return result


def _quadratic(gram: Float[Tensor, "batch rows rows"]) -> Float[Tensor, "batch rows rows"]:
    """b G + c G^2."""
    return torch.baddbmm(gram, gram, gram, beta=_QUINTIC[1], alpha=_QUINTIC[2])


def _alike(parameters: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Groups of matrices of one shape, each to be orthogonalised in one batch."""
    groups: dict[Any, list[list[nn.Parameter]]] = {}
    for parameter in parameters:
        kind = parameter.shape, parameter.device, parameter.dtype
        of_kind = groups.setdefault(kind, [[]])
        most = _TOGETHER.get(parameter.device.type, _TOGETHER["cpu"])
        if of_kind[-1] and (len(of_kind[-1]) + 1) * parameter.numel() > most:
            of_kind.append([])
        of_kind[-1].append(parameter)
    return [some for of_kind in groups.values() for some in of_kind]
