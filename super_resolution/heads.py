"""The paper's output head: the digits of a code independently of each other, tied with their embeddings.

The other choice is the language model's head (lm/model/heads.py), which reads the first digit before it
predicts the second. Both give `logits` of a digit and the `loss` of all.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..lm.model.embedding import CodeEmbedding
from ..lm.model.heads import linear_cross_entropy


class TiedHead(nn.Module):
    """Logits of each digit are products of the hidden state, projected for this digit, with the embeddings of
    its values (Yu et al. 2023, arXiv:2310.05737, section 3.2: as many classifiers as digits, weights tied).

    The products are divided by dim: a step of AdamW moves all weights behind a logit equally far, and logits
    then change at one pace at every width (Yang et al. 2022, arXiv:2203.03466, table 8).

    Args:
        embedding: of the codes; its weights stay its own.
        dim: features of the hidden state.
    """

    def __init__(self, embedding: CodeEmbedding, dim: int):
        super().__init__()
        self.digits = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in embedding.digits)
        self._embedding = (embedding,)  # in a tuple it is no part of this module

    def logits(
        self, hidden: Float[Tensor, "rows dim"], known: Sequence[Int[Tensor, " rows"]] = ()
    ) -> Float[Tensor, "rows factor"]:
        """Logits of the digit that follows the `known` ones, whatever these are."""
        features, table = self._of_digit(hidden, len(known))
        return F.linear(features, table)

    def loss(
        self,
        hidden: Float[Tensor, "rows dim"],
        digits: Sequence[Int[Tensor, " rows"]],
        weight: Float[Tensor, " rows"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " rows"]]:
        """As of the language model's `Head`: the sum of weight * nats over the rows, and the nats of each."""
        total, nats = weight.new_zeros(()), torch.zeros_like(weight)
        for k, digit in enumerate(digits):
            own, own_nats = linear_cross_entropy(*self._of_digit(hidden, k), digit, weight)
            total, nats = total + own, nats + own_nats
        return total, nats

    def _of_digit(self, hidden: Tensor, k: int) -> tuple[Tensor, Tensor]:
        features = self.digits[k](hidden) / hidden.shape[-1]
        table = self._embedding[0].digits[k]
        assert isinstance(table, nn.Embedding)
        return features, table.weight
