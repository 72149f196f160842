"""Codes in use are counted over all processes, also while DDP keeps its buffers equal."""

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from videolm.tokenizers.video.code_counts import CodeCounts
from videolm.tokenizers.video.lfq import code_statistics


class Counting(nn.Module):
    """A network with a buffer, for DDP to overwrite, that counts the codes it sees."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.register_buffer("steps", torch.zeros(()))
        self.codes = CodeCounts(16)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        self.codes.add(codes)
        return self.weight * codes.sum()


def test_both_processes_count(in_two_processes):
    """The first sees the codes 0 to 3, the second 8 to 15, over three steps each."""
    shown = [torch.arange(4).view(1, 1, 2, 2), torch.arange(8, 16).view(1, 2, 2, 2)]

    def report(rank: int) -> dict[str, float]:
        network = Counting()
        wrapped = DistributedDataParallel(network)
        for _ in range(3):
            wrapped(shown[rank]).backward()
        return network.codes.report()

    first, second = in_two_processes(report)
    counts = 3 * torch.cat([each.flatten() for each in shown]).bincount(minlength=16)
    assert first == second == code_statistics(counts)
    assert first["code_use"] == 12 / 16


def test_a_report_forgets():
    codes = CodeCounts(4)
    codes.add(torch.tensor([[[[0, 1]]]]))
    assert codes.report()["code_use"] == 0.5
    codes.add(torch.tensor([[[[2, 2]]]]))
    assert codes.report()["code_use"] == 0.25
