"""Several linear maps of one input, computed in one product."""

from torch import nn


class FusedLinear(nn.Linear):
    """Linear maps whose weights stand below one another, such as those of queries, keys and values.

    They are maps of their own all the same: Muon orthogonalises the rows of each by themselves, or those of
    one map would lose the directions that another one has taken.

    Args:
        dim: features of the input.
        parts: features that each map gives.
    """

    def __init__(self, dim: int, parts: tuple[int, ...]):
        super().__init__(dim, sum(parts), bias=False)
        self.parts = parts
