"""The loss of a batch of pairs: nats of the codes at all positions, hidden or not."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..batch import PairBatch
from ..transformer import SuperResolution


@dataclass(eq=False)
class PairLoss:
    """Nats of one batch.

    Args:
        mean: over all positions, with gradient.
        shown: mean nats of the codes that are shown, without gradient; 0 where all are hidden.
        by_clip: mean nats of the hidden codes of each clip.
    """

    mean: Float[Tensor, ""]
    shown: Float[Tensor, ""]
    by_clip: Float[Tensor, " batch"]


def loss_of(model: SuperResolution, batch: PairBatch) -> PairLoss:
    """The loss at every position that could have been hidden, as MAGVIT trains (Yu et al. 2023,
    arXiv:2212.05199, section 3.2): of those that are shown the code is repeated, which costs little once
    learnt.
    """
    hidden = model(batch.codes, batch.masked, batch.condition).flatten(0, 1)
    weight = torch.ones(len(hidden), device=hidden.device)
    total, nats = model.head.loss(hidden, model.block.split(batch.codes.flatten()), weight)
    of_clips, masked = nats.view(len(batch), -1), batch.masked.flatten(1)
    return PairLoss(
        mean=total / len(hidden),
        shown=(of_clips * ~masked).sum() / (~masked).sum().clamp(min=1),
        by_clip=(of_clips * masked).sum(1) / masked.sum(1),
    )


def codes_right(model: SuperResolution, batch: PairBatch) -> Int[Tensor, ""]:
    """How many hidden codes are the likeliest ones, all digits of them."""
    hidden = model(batch.codes, batch.masked, batch.condition)[batch.masked.flatten(1)]
    digits: list[Tensor] = []
    for _ in model.block.factors:
        digits.append(model.head.logits(hidden, digits).argmax(-1))
    return (model.block.join(digits) == batch.codes[batch.masked]).sum()
