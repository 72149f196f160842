"""The loss of a batch: weighted nats of the ids that are to be predicted, and of nothing else."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..batch import Batch
from ..model.transformer import PrefixLM


@dataclass(eq=False)
class Loss:
    """Nats of one batch.

    Args:
        total: sum of weight * nats over the targets, and the z-loss if there is one, with gradient.
        weight: sum of the weights; the loss is total / weight, both summed over all processes.
        nats: nats of every target, without gradient.
        block: index into `Vocabulary.blocks` of every target.
        example: index of the example that every target belongs to.
    """

    total: Float[Tensor, ""]
    weight: Float[Tensor, ""]
    nats: Float[Tensor, " targets"]
    block: Int[Tensor, " targets"]
    example: Int[Tensor, " targets"]

    @property
    def mean(self) -> Float[Tensor, ""]:
        return self.total / self.weight


def loss_of(model: PrefixLM, batch: Batch, z_loss: float = 0.0) -> Loss:
    """Loss of predicting every position of positive weight from those before it (and the whole prefix).

    Args:
        z_loss: weight of the squared log-sum-exps of the logits, see `linear_cross_entropy`.

    Raises:
        ValueError: if no position has a weight.
    """
    hidden = model(batch)
    targets = (batch.weight[:, 1:] > 0).nonzero()
    if not len(targets):
        raise ValueError("no position of the batch has a weight, so there is nothing to learn")
    block = batch.block[targets[:, 0], targets[:, 1] + 1]
    order = block.argsort(stable=True)
    block, (row, before) = block[order], targets[order].unbind(1)
    counts = torch.bincount(block, minlength=len(model.blocks)).tolist()
    groups = [
        part.split(counts)
        for part in (hidden[row, before], batch.ids[row, before + 1], batch.weight[row, before + 1])
    ]
    totals, nats = [], []
    for target_block, rows, ids, weight in zip(model.blocks, *groups, strict=True):
        if target_block.name not in model.heads:
            if len(ids):
                raise ValueError(f"{len(ids)} targets lie in block {target_block.name!r}, which has no head")
            continue
        # A head without targets takes part with no rows, so that each has a gradient on every process.
        digits = target_block.split(ids - target_block.start)
        total, row_nats = model.head(target_block.name).loss(rows, digits, weight, z_loss)
        totals.append(total)
        nats.append(row_nats)
    return Loss(
        total=torch.stack(totals).sum(),
        weight=batch.weight[row, before + 1].sum(),
        nats=torch.cat(nats),
        block=block,
        example=batch.example[row, before + 1],
    )


def nats_by_block(loss: Loss, names: tuple[str, ...]) -> dict[str, tuple[float, int]]:
    """Mean nats and number of the targets of each block that has any."""
    return _means(loss.nats, loss.block, names)


def nats_by_task(loss: Loss, tasks: tuple[str, ...]) -> dict[str, tuple[float, int]]:
    """The same of each task; `tasks` names the task of every example of the batch."""
    names, of_target = tasks_of_targets(loss, tasks)
    return _means(loss.nats, of_target, names)


def tasks_of_targets(loss: Loss, tasks: tuple[str, ...]) -> tuple[tuple[str, ...], Int[Tensor, " targets"]]:
    """The tasks of a batch, and which of them every target is of."""
    names = tuple(sorted(set(tasks)))
    of_example = torch.tensor([names.index(task) for task in tasks], device=loss.example.device)
    return names, of_example[loss.example]


def sums_of(
    nats: Float[Tensor, " targets"], group: Int[Tensor, " targets"], number: int
) -> tuple[Float[Tensor, " groups"], Float[Tensor, " groups"]]:
    """Sum of the nats and number of the targets of each group, without waiting for the device."""
    zeros = torch.zeros(number, dtype=nats.dtype, device=nats.device)
    return zeros.index_add(0, group, nats), zeros.index_add(0, group, torch.ones_like(nats))


def nats_by_example(loss: Loss, count: int) -> Float[Tensor, " examples"]:
    """Mean nats of the targets of each of so many examples."""
    sums = torch.zeros(count, dtype=loss.nats.dtype, device=loss.nats.device)
    sums = sums.index_add(0, loss.example, loss.nats)
    return sums / torch.bincount(loss.example, minlength=count)


def _means(nats: Tensor, group: Tensor, names: tuple[str, ...]) -> dict[str, tuple[float, int]]:
    sums, counts = sums_of(nats, group, len(names))
    table = zip(names, sums.tolist(), counts.tolist(), strict=True)
    return {name: (total / count, round(count)) for name, total, count in table if count}
