"""What a training logs: means over the steps since the last report and over all processes.

    means.add({"loss": loss, "mel": mel})          # in every step; waits for no device
    means.add_sums(("task/a", "task/b"), nats, counts)
    module.log_dict(means.report())                # every log_every_n_steps, by all processes

The value of a single step says little: a step may be of one task, and one in sixteen has a gradient penalty.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from lightning import LightningModule
from torch import Tensor

from .named_sums import NamedSums


class IntervalMeans:
    """Sums and counts by name since the last report.

    Non-finite values are left out: those of a skipped step would be all that is seen of its interval. A run
    that goes on from a checkpoint within an interval has the means of the rest of it.
    """

    def __init__(self) -> None:
        self._parts: dict[tuple[str, ...], Tensor] = {}

    def add(self, values: Mapping[str, Tensor | float]) -> None:
        """Numbers that count once each; a process may name others than the next one."""
        if not values:
            return
        tensors = [value for value in values.values() if isinstance(value, Tensor)]
        device = tensors[0].device if tensors else None
        numbers = [torch.as_tensor(value, device=device).detach().float() for value in values.values()]
        stacked = torch.stack(numbers)
        self.add_sums(tuple(values), stacked, torch.ones_like(stacked))

    def add_sums(
        self, names: Sequence[str], sums: Float[Tensor, " names"], counts: Float[Tensor, " names"]
    ) -> None:
        """Sums over so many things each, such as the nats of all targets of a task; a count may be 0."""
        is_finite = sums.isfinite()
        part = torch.stack([torch.where(is_finite, sums, 0.0), counts * is_finite])
        key = tuple(names)
        self._parts[key] = self._parts[key] + part if key in self._parts else part

    def report(self, prefix: str = "train/") -> dict[str, float]:
        """The means of all that was counted, by name, which are then forgotten; called by all processes."""
        sums = NamedSums()
        parts, self._parts = self._parts, {}
        for names, part in parts.items():
            for name, total, count in zip(names, *part.tolist(), strict=True):
                sums.add(name, total, count)
        return {prefix + name: total / count for name, (total, count) in sums.of_all().items() if count}


def is_reported(module: LightningModule, step: int) -> bool:
    """Whether what is gathered over several steps is logged at this one."""
    return step % module.trainer.log_every_n_steps == 0  # pyright: ignore[reportAttributeAccessIssue]  set late
