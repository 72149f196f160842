"""Tables of a stage whose rows share a vector for every bit of their digit (lm/model/shared_bits.py)."""

from torch import nn
from torch.nn.utils import parametrize

from ...lm.model.heads import Head
from ...lm.model.shared_bits import SharedBits
from ..transformer import SuperResolution


def share_bits(model: SuperResolution, is_trained: bool = False) -> None:
    """Let the digits of the codes of both sizes share their bits; a tied head follows its embeddings.

    Args:
        is_trained: the tables are trained already; the shared vectors start at zero and change nothing.

    Raises:
        ValueError: if the size of a digit is no power of 2.
    """
    factors = {*model.block.factors, *model.low_codes.block.factors}
    if wrong := sorted(factor for factor in factors if factor & (factor - 1)):
        raise ValueError(f"codes have digits of {wrong[0]} values; share_bits needs powers of 2")
    read: list[nn.Module] = [*model.codes.digits, *model.low_codes.digits]
    if isinstance(model.head, Head):
        read += [each for each in model.head.later.modules() if isinstance(each, nn.Embedding)]
        for linear in model.head.digits:
            assert isinstance(linear, nn.Linear)
            parametrize.register_parametrization(linear, "weight", SharedBits(linear.weight, 0.0))
    for table in read:
        assert isinstance(table, nn.Embedding)
        std = 0.0 if is_trained else (2 * (len(table.weight).bit_length() - 1)) ** -0.5
        parametrize.register_parametrization(table, "weight", SharedBits(table.weight, std))
