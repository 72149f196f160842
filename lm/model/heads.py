"""Output heads: the probability of a code given the hidden state, digit by digit.

    p(code | h) = p(d0 | h) p(d1 | h, d0) p(d2 | h, d0, d1) ...

is exact for any number of digits. Each digit after the first reads a gated, hence nonlinear, mixture of the
hidden state and the digits before it: independent digits, or digits that only add to the logits, lose
their joint distribution (as 1X's world model, with two independent 9-bit heads, admits). A block of one
digit has a plain linear head, which is the flat softmax of the paper.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from .swiglu import swiglu

LOGITS_AT_ONCE = 2**26
"""How many logits are held at a time while a loss is computed: 256 rows of 2^18."""


class Head(nn.Module):
    """Head of one block of the vocabulary.

    Args:
        factors: size of each digit, the lowest first.
        dim: features of the hidden state.
    """

    def __init__(self, factors: tuple[int, ...], dim: int):
        super().__init__()
        self.later = nn.ModuleList(_AfterDigits(factors[:k], dim) for k in range(1, len(factors)))
        self.digits = nn.ModuleList(nn.Linear(dim, factor, bias=False) for factor in factors)

    def logits(
        self, hidden: Float[Tensor, "rows dim"], known: Sequence[Int[Tensor, " rows"]] = ()
    ) -> Float[Tensor, "rows factor"]:
        """Logits of the digit that follows the `known` ones."""
        return self.digits[len(known)](self._features(hidden, known))

    def loss(
        self,
        hidden: Float[Tensor, "rows dim"],
        digits: Sequence[Int[Tensor, " rows"]],
        weight: Float[Tensor, " rows"],
        z_loss: float = 0.0,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " rows"]]:
        """Sum of weight * nats over the rows, and the nats of every row (for reports, without gradient).

        Args:
            z_loss: of each digit's softmax, see `linear_cross_entropy`; in the sum, not in the nats.
        """
        total, nats = weight.new_zeros(()), torch.zeros_like(weight)
        for k, (linear, digit) in enumerate(zip(self.digits, digits, strict=True)):
            assert isinstance(linear, nn.Linear)
            digit_total, digit_nats = linear_cross_entropy(
                self._features(hidden, digits[:k]), linear.weight, digit, weight, z_loss
            )
            total, nats = total + digit_total, nats + digit_nats
        return total, nats

    def _features(self, hidden: Tensor, known: Sequence[Tensor]) -> Tensor:
        return self.later[len(known) - 1](hidden, known) if known else hidden


class _AfterDigits(nn.Module):
    """Features for the next digit: a gated block (SwiGLU) of the hidden state and the digits so far."""

    def __init__(self, factors: tuple[int, ...], dim: int):
        super().__init__()
        self.hidden = nn.Linear(dim, 2 * dim, bias=False)
        self.digits = nn.ModuleList(nn.Embedding(factor, 2 * dim) for factor in factors)

    def forward(
        self, hidden: Float[Tensor, "rows dim"], known: Sequence[Int[Tensor, " rows"]]
    ) -> Float[Tensor, "rows dim"]:
        mixed = self.hidden(hidden)
        for table, digit in zip(self.digits, known, strict=True):
            mixed = mixed + table(digit)
        return swiglu(mixed)


def linear_cross_entropy(
    hidden: Float[Tensor, "rows dim"],
    matrix: Float[Tensor, "classes dim"],
    target: Int[Tensor, " rows"],
    weight: Float[Tensor, " rows"],
    z_loss: float = 0.0,
    logits_at_once: int = LOGITS_AT_ONCE,
) -> tuple[Float[Tensor, ""], Float[Tensor, " rows"]]:
    """Cross-entropy of `hidden @ matrix.T` that never holds all logits.

    Gradients are made while the logits of a chunk of rows exist, so nothing of the size rows x classes is
    kept or computed twice.

    Args:
        z_loss: weight of log(sum of exp(logits))^2, which keeps logits from drifting (Chowdhery et al. 2022,
            arXiv:2204.02311, section 5, with 1e-4).

    Returns:
        The sum of weight * (nats + z_loss * log(...)^2), which has a gradient, and the nats of each row,
        which have none.
    """
    return _LinearCrossEntropy.apply(hidden, matrix, target, weight, z_loss, logits_at_once)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        matrix: Tensor,
        target: Tensor,
        weight: Tensor,
        z_loss: float,
        logits_at_once: int,
    ) -> tuple[Tensor, Tensor]:
        hidden_gradient, matrix_gradient = (
            torch.zeros_like(each) if wanted else None
            for each, wanted in zip((hidden, matrix), ctx.needs_input_grad, strict=False)
        )
        nats, squares = torch.zeros_like(weight), torch.zeros_like(weight)
        size = max(1, logits_at_once // matrix.shape[0])
        for start in range(0, hidden.shape[0], size):
            rows = slice(start, start + size)
            product = F.linear(hidden[rows], matrix)
            logits = product.to(torch.promote_types(product.dtype, torch.float32))
            own = logits.gather(1, target[rows, None])
            probabilities, lse = _softmax_in_place(logits)
            nats[rows] = (lse - own).squeeze(1).to(nats.dtype)
            squares[rows] = lse.squeeze(1).square().to(nats.dtype)
            if hidden_gradient is None and matrix_gradient is None:
                continue
            scale = weight[rows, None].to(lse.dtype)
            error = probabilities.mul_(scale * (1 + 2 * z_loss * lse)).scatter_add_(
                1, target[rows, None], -scale
            )
            error = error.to(product.dtype)
            if hidden_gradient is not None:
                hidden_gradient[rows] = (error @ matrix).to(hidden.dtype)
            if matrix_gradient is not None:
                _add_product(matrix_gradient, error.T, hidden[rows])
        ctx.save_for_backward(hidden_gradient, matrix_gradient)
        ctx.mark_non_differentiable(nats)
        return (weight * (nats + z_loss * squares)).sum(), nats

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        total_gradient, _ = gradients
        products = [None if each is None else each * total_gradient for each in ctx.saved_tensors]
        return *products, None, None, None, None


def _softmax_in_place(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The probabilities, in the memory of the logits, and the log-sum-exp of every row."""
    peak = logits.amax(-1, keepdim=True)
    logits.sub_(peak).exp_()
    sums = logits.sum(-1, keepdim=True)
    return logits.div_(sums), peak + sums.log()


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right, without holding the product where the types allow it."""
    if left.dtype == total.dtype == right.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
