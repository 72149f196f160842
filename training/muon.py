"""The Muon optimizer, with AdamW for everything that is not a matrix.

Why not torch.optim.Muon (PyTorch 2.13): it refuses weights that are not two-dimensional, so convolution
kernels are left out and everything else needs a second optimizer. It iterates one matrix at a time and always
in bfloat16, which is slower than float32 on CPUs without AMX. Every process iterates every matrix, and for a
sharded weight (FSDP2) it needs 11 all-reduces, two in each step of the iteration.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .dealing import Part, deal, holdings, rounds
from .precision import has_fast_bfloat16
from .sharded_tensors import local, own_part

# Coefficients of the quintic iteration that drives singular values to about 1 (Jordan et al. 2024).
_QUINTIC = (3.4445, -4.7750, 2.0315)
# From this aspect ratio on, Newton-Schulz on X X^T in float32 is cheaper than on X in this type.
_WIDER = {torch.bfloat16: 3, torch.float32: 2}
# Elements of a batch of matrices that are orthogonalised together. Larger batches would only take memory on
# CPUs; on GPUs the kernels of one matrix of a million elements take longer to launch than to run.
_TOGETHER = {"cpu": 2**21, "cuda": 2**25}


class Groups(NamedTuple):
    """The parameters of a network as Muon takes them.

    Args:
        matrices: those to orthogonalise.
        others: AdamW's.
        parts: rows of the matrices in which several stand below one another, such as queries, keys and values
            computed in one product. Each is orthogonalised by itself.
    """

    matrices: list[nn.Parameter]
    others: list[nn.Parameter]
    parts: Mapping[nn.Parameter, Sequence[int]] = {}


class Muon(torch.optim.Optimizer):
    """Muon on the matrices inside a network, AdamW on everything else, in one optimizer.

    Muon replaces each momentum by the nearest orthogonal matrix, so that all directions of a weight learn at
    one pace (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"). A convolution's
    kernel counts as the matrix (out, in * height * width).

    Where several processes train together (torch.distributed), each orthogonalises its share of the matrices
    and the updates are exchanged (dealing.py); the weights are those that one process would have. All of them
    must have a gradient of the same weights. Each process keeps the momentum of what it holds of the weights:
    of a sharded one (DTensor) its shard.

    Args:
        groups: from `parameter_groups`.
        learning_rate: of the matrices; an update changes a weight by about this share of its scale.
        adam_learning_rate: of the rest.
        momentum: of the matrices (Nesterov's).
        betas: of AdamW.
        weight_decay: of the matrices, decoupled from the gradient. A group added later has its own.
    """

    def __init__(
        self,
        groups: Groups,
        learning_rate: float = 0.02,
        adam_learning_rate: float = 3e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.0,
    ):
        self.parts = groups.parts
        settings = [
            {"params": groups.matrices, "lr": learning_rate, "is_matrix": True, "name": "matrices"},
            {
                "params": groups.others,
                "lr": adam_learning_rate,
                "is_matrix": False,
                "weight_decay": 0.0,
                "name": "others",
            },
        ]
        defaults = {"momentum": momentum, "betas": betas, "weight_decay": weight_decay}
        super().__init__([group for group in settings if group["params"]], defaults)

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

    def _orthogonal(self, parameters: list[nn.Parameter], group: dict) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows of the matrices that this process holds, and their change."""
        ahead = [self._ahead(parameter, group["momentum"]) for parameter in parameters]
        held, first = [local(each) for each in parameters], [own_part(each)[0].start for each in parameters]

        def rows(part: Part, some: slice) -> Tensor:
            return ahead[part.weight](_moved(some, -first[part.weight])).flatten(1)

        for numbers, holding in holdings(parameters):
            example = held[numbers[0]]
            kind = example.device.type
            half = has_fast_bfloat16(kind)  # which is exact enough here
            travels = torch.bfloat16 if half and kind == "cuda" else example.dtype  # the digits there are
            parts = [part for number in numbers for part in self._parts_of(number, parameters[number])]
            shares = deal(parts, _cost_on(kind), holding.count)
            for some in rounds(shares, _TOGETHER.get(kind, _TOGETHER["cpu"])):
                own = holding.to_owners(some, rows)
                if own:
                    dtype = torch.bfloat16 if half else torch.float32
                    own = list(orthogonalized(torch.stack(own), dtype).to(travels))
                for part, place, change in holding.from_owners(some, own, travels):
                    weight = held[part.weight][_moved(place, -first[part.weight])]
                    change = change.to(weight.dtype) * max(1, part.shape[0] / part.columns) ** 0.5
                    yield weight, change.view(weight.shape)

    def _ahead(self, parameter: nn.Parameter, momentum: float) -> Callable[[slice], Tensor]:
        """The momentum takes up the gradient; gives rows of Nesterov's direction as they are held here."""
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].mul_(momentum).add_(gradient)
        old, new = local(state["momentum"]), local(gradient)
        return lambda some: new[some].add(old[some], alpha=momentum)

    def _parts_of(self, number: int, weight: nn.Parameter) -> list[Part]:
        columns = weight.numel() // len(weight)
        parts, start = [], 0
        for count in self.parts.get(weight, (len(weight),)):
            parts.append(Part(number, start, start + count, columns))
            start += count
        return parts

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


def parameter_groups(matrices: Iterable[nn.Module], model: nn.Module) -> Groups:
    """The weights of the modules `matrices`, and all other parameters of `model`.

    A module that is several maps in one product says so by an attribute `parts`, the features of each.
    """
    chosen = {module.get_parameter("weight"): module for module in matrices}
    others = [parameter for parameter in model.parameters() if parameter not in chosen]
    parts = {weight: module.parts for weight, module in chosen.items() if hasattr(module, "parts")}
    return Groups(list(chosen), others, parts)  # pyright: ignore[reportArgumentType]  nn.Module's attributes


def newton_schulz_flops(rows: int, columns: int, iterates_gram: bool = False, steps: int = 5) -> int:
    """Operations of `orthogonalized` for one matrix, two for each multiplication.

    Args:
        iterates_gram: only the product with the transpose is iterated.
    """
    short, long = min(rows, columns), max(rows, columns)
    square, wide = 2 * short**3, 2 * short**2 * long
    if iterates_gram:
        return 2 * wide + square + (steps - 1) * 4 * square
    return steps * (2 * wide + square)


def _cost_on(kind: str) -> Callable[[int, int], float]:
    """On a kind of device. It depends on nothing that is measured: all processes must deal alike."""

    def cost(rows: int, columns: int) -> float:
        plain = newton_schulz_flops(rows, columns)
        return plain if kind == "cuda" else min(plain, newton_schulz_flops(rows, columns, True))

    return cost


def _moved(rows: slice, by: int) -> slice:
    return slice(rows.start + by, rows.stop + by)


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
