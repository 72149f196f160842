"""Training speed: tokens per second and model-FLOPs utilisation (MFU).

Why not lightning.fabric.utilities.throughput (2.6)? Its table has the peak of an H200 with sparsity, twice
the dense one, and those of an RTX 4090 and an A40 without tensor cores, half and a quarter; it lacks the B200
and has no answer for CPUs and other GPUs, whose peak is measured here. Its `Throughput` takes Python numbers,
for which every step would wait for the device, and cannot pause. Its `measure_flops` counts recomputation.
"""

import time
from functools import cache

import torch
from torch import Tensor

# Dense products in bfloat16 (float16 where there is none), operations per second, as the makers state them.
PEAK_FLOPS = {
    "B200": 2250e12, "H200": 989e12, "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "GH200": 989e12,
    "A100": 312e12, "A40": 150e12, "A30": 165e12, "A10": 125e12, "L40S": 362e12, "L40": 181e12, "L4": 121e12,
    "RTX 6000 Ada": 364e12, "RTX A6000": 155e12, "RTX 5090": 210e12, "RTX 4090": 165e12, "RTX 3090": 71e12,
    "V100": 125e12, "T4": 65e12,
}  # fmt: skip
_MEASURED_SIZE = {"cpu": 1024, "cuda": 8192}


class Throughput:
    """Tokens per second and model-FLOPs utilisation since the last report.

    Args:
        peak_flops: of one device.
    """

    def __init__(self, peak_flops: float):
        self.peak_flops = peak_flops
        self._counted: list[tuple[Tensor, Tensor]] = []
        self._seconds = 0.0
        self._since: float | None = None

    def step(self, tokens: Tensor, flops: Tensor) -> None:
        """A step begins, on so many tokens."""
        if self._since is None:
            self._since = time.perf_counter()
        self._counted.append((tokens, flops))

    def pause(self) -> None:
        """What happens until the next step, such as a validation, does not count."""
        if self._since is not None:
            self._seconds += time.perf_counter() - self._since
            self._since = None

    def report(self, processes: int = 1) -> dict[str, float]:
        """Tokens per second of all processes and percent of the peak; called when a step has ended."""
        self.pause()
        tokens, flops = (float(torch.stack(each).double().sum()) for each in zip(*self._counted, strict=True))
        seconds, self._seconds, self._counted = self._seconds, 0.0, []
        self._since = time.perf_counter()
        return {
            "tokens_per_second": tokens * processes / seconds,
            "mfu_percent": 100 * flops / seconds / self.peak_flops,
        }


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a device: from the table in bfloat16, or measured on a large product.

    Args:
        dtype: of the product where it is measured: on a CPU or an unknown GPU.
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    for known, peak in PEAK_FLOPS.items():
        if known in name:
            return peak
    return _measured_peak(device, dtype, torch.get_num_threads())


@cache
def _measured_peak(device: torch.device, dtype: torch.dtype, threads: int) -> float:
    size = _MEASURED_SIZE.get(device.type, 1024)
    matrix = torch.randn(size, size, device=device, generator=torch.Generator(device)).to(dtype)
    fastest = float("inf")
    for _ in range(4):  # the first is a rehearsal
        start = time.perf_counter()
        float((matrix @ matrix)[0, 0])  # waits for the device
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * size**3 / fastest
