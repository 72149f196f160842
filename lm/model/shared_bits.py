"""Embedding and head tables whose rows share a vector for every bit of their digit.

A code of lookup-free quantisation is a row of signs, and codes that differ in one sign look nearly alike. An
ordinary table learns the row of a digit only when this very digit occurs. Here

    table[d] = own[d] + sum over bits i of sign_i(d) * bits[i]

in all tables of a code's digits: embeddings, heads, and the tables by which a head reads earlier digits. An
exported model stores the sum, so it is like any other.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .transformer import PrefixLM


class SharedBits(nn.Module):
    """The parametrization of one table: own[d] + sum over bits i of sign_i(d) * bits[i]."""

    signs: Tensor

    def __init__(self, table: Float[Tensor, "rows dim"], std: float):
        super().__init__()
        rows, dim = table.shape
        places = torch.arange(rows.bit_length() - 1)
        is_set = (torch.arange(rows)[:, None] >> places) & 1
        self.register_buffer("signs", is_set * 2.0 - 1, persistent=False)
        self.bits = nn.Parameter(torch.randn(len(places), dim) * std)

    def forward(self, own: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        return own + self.signs @ self.bits


def share_bits(model: PrefixLM, is_trained: bool = False) -> None:
    """Let the digits of every block that has several share their bits.

    Args:
        is_trained: the tables are trained already; the shared vectors start at zero and change nothing.

    Raises:
        ValueError: if the size of a digit is no power of 2, or no block has several digits.
    """
    blocks = [block for block in model.blocks if len(block.factors) > 1]
    if not blocks:
        raise ValueError("share_bits needs codes of several digits, as the factorized head has them")
    for block in blocks:
        if any(factor & (factor - 1) for factor in block.factors):
            raise ValueError(
                f"{block.name} codes have digits of {block.factors}; share_bits needs powers of 2"
            )
        head = model.head(block.name)
        for table in head.digits:
            assert isinstance(table, nn.Linear)
            parametrize.register_parametrization(table, "weight", SharedBits(table.weight, 0.0))
        for table in (*_embeddings(model.tokens.tables[block.name]), *_embeddings(head.later)):
            std = 0.0 if is_trained else (2 * (len(table.weight).bit_length() - 1)) ** -0.5
            parametrize.register_parametrization(table, "weight", SharedBits(table.weight, std))


def _embeddings(part: nn.Module) -> list[nn.Embedding]:
    return [module for module in part.modules() if isinstance(module, nn.Embedding)]
