"""Learning from what the model itself predicts: against the drift of long rollouts.

In a rollout a model reads frames of its own, whose errors it has never seen in training. In a share of the
steps the first part of each sequence is therefore what the model draws there, each id from the true ones
before it, and only the rest is learnt: to go on from frames with the model's own errors towards the true
ones. Nothing is learnt of the part that was drawn, where the true ids would not follow from what is read.

This is scheduled sampling (Bengio et al. 2015, arXiv:1506.03099) in two parallel passes, as Mihaylova and
Martins (2019, arXiv:1906.07651) do it for transformers. `given_noise` of the data is noise in its place.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..batch import Batch
from ..model.heads import Head
from ..model.transformer import PrefixLM
from ..vocabulary import Block

_STEPS, _TIMES, _CODES = 1, 2, 3  # what is drawn, each from a stream of its own


def is_drawn(share: float, seed: int, step: int) -> bool:
    """Whether a step is one of the share in which sequences begin with the model's own predictions."""
    return share > 0 and float(torch.rand((), generator=_generator(_STEPS, seed, step))) < share


@torch.no_grad()
def with_own_predictions(model: PrefixLM, batch: Batch, seed: int, number: int) -> Batch:
    """The batch with what the model draws in place of the targets up to a time, which count no longer.

    The time of each example is drawn, and with it all that the model draws, from seed and number; the targets
    of the last time are left.

    Args:
        number: of the batch among those of all steps and processes.
    """
    shares = torch.rand(len(batch.row), generator=_generator(_TIMES, seed, number))
    drawn = _drawn(batch, shares.to(batch.ids.device))
    noise = _generator(_CODES, seed, number, batch.ids.device)
    hidden, ids = model(batch), batch.ids.clone()
    for index, block in enumerate(model.blocks):
        row, column = (drawn & (batch.block == index)).nonzero().unbind(1)
        if len(row):
            ids[row, column] = _sampled(model.head(block.name), block, hidden[row, column - 1], noise)
    return replace(batch, ids=ids, weight=batch.weight * ~drawn, forced=batch.forced | drawn)


def _drawn(batch: Batch, share: Float[Tensor, " examples"]) -> Bool[Tensor, "rows positions"]:
    """The targets up to a whole time that is a share of the way from an example's first to its last."""
    time, owner = batch.coordinates[..., 0], batch.example
    is_target = (batch.weight > 0) & (owner >= 0)
    own = owner[is_target]
    first = torch.full_like(share, torch.inf).scatter_reduce(0, own, time[is_target], "amin")
    last = torch.full_like(share, -torch.inf).scatter_reduce(0, own, time[is_target], "amax")
    until = (first + share * (last - first)).floor().minimum((last - 1).ceil())
    return is_target & (time <= until[owner.clamp(min=0)])


def _sampled(
    head: Head, block: Block, hidden: Float[Tensor, "targets dim"], noise: torch.Generator
) -> Int[Tensor, " targets"]:
    """Ids of a block as the model predicts them."""
    digits: list[Tensor] = []
    for _ in block.factors:
        probabilities = head.logits(hidden, digits).float().softmax(-1)
        digits.append(torch.multinomial(probabilities, 1, generator=noise).squeeze(1))
    return block.start + block.join(digits)


def _generator(
    what: int, seed: int, number: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    return torch.Generator(device).manual_seed((seed * 4 + what) * 2**40 + number)
