"""How often each code of a tokenizer was seen, over all processes of a training."""

import torch
from jaxtyping import Int
from torch import Tensor

from ...training.processes import sum_over_processes
from .lfq import code_statistics


class CodeCounts:
    """Counts of this process since the last report.

    They are no buffer of the module: before each forward pass DDP overwrites all buffers by those of the
    first process, whose codes would be counted once for each process and no others.
    """

    def __init__(self, codebook_size: int):
        self.counts = torch.zeros(codebook_size, dtype=torch.long)

    def add(self, codes: Int[Tensor, "batch t h w"]) -> None:
        if self.counts.device != codes.device:
            self.counts = self.counts.to(codes.device)
        self.counts += torch.bincount(codes.flatten(), minlength=len(self.counts))

    def report(self) -> dict[str, float]:
        """`code_statistics` of the codes of all processes, then forgotten; all processes call it."""
        statistics = code_statistics(sum_over_processes(self.counts))
        self.counts.zero_()
        return statistics
