"""Prefix attention, forward and backward, against PyTorch's under an explicit mask. About a minute.

    OMP_NUM_THREADS=1 python -m benchmarks.attention              # 1,344 and 2,688 positions, prefix 320
    OMP_NUM_THREADS=1 python -m benchmarks.attention --choice     # short examples: masks or flash calls?

All contestants of a row take turns in one process; the least CPU time of several turns counts.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from videolm.lm.batch import Batch
from videolm.lm.model.prefix_attention import MaskedAttention, prefix_mask
from videolm.lm.model.split_attention import SplitAttention

from .measuring import Record, command, machine, markdown_table

Contestant = Callable[[Tensor, Tensor, Tensor], Tensor]
MASK, CAUSAL, OURS, CHUNKS = "boolean mask", "causal (another result)", "flash calls", "masks, 128 queries"
# rows, positions, prefix, heads, heads of keys and values, features of a head
LARGE = (
    (1, 1344, 320, 10, 10, 64), (1, 2688, 320, 10, 10, 64), (1, 2688, 1344, 10, 10, 64),
    (1, 1344, 320, 10, 2, 64),
)  # fmt: skip
CHOICE = (
    (16, 96, 16, 4, 2, 48), (8, 384, 20, 8, 4, 32), (4, 576, 20, 8, 4, 64), (2, 768, 20, 8, 4, 64),
    (2, 768, 350, 8, 4, 64), (2, 1024, 20, 8, 4, 64),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--choice", action="store_true", help="measure short examples")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(machine(threads=1)))
    shapes = CHOICE if arguments.choice else LARGE
    for shape in shapes:
        print(markdown_table(measure(shape, arguments.repeats)), flush=True)


def measure(shape: tuple[int, ...], repeats: int) -> list[Record]:
    """A row for each contestant: milliseconds, how many times faster than the mask, largest difference."""
    rows, positions, prefix, heads, kv_heads, head_dim = shape
    batch = batch_of(rows, positions, prefix)
    generator = torch.Generator().manual_seed(0)
    # As a layer has them: the heads of a position side by side.
    queries, keys, values, upstream = (
        torch.randn(rows, positions, count, head_dim, generator=generator).transpose(1, 2)
        for count in (heads, kv_heads, kv_heads, heads)
    )
    parts = [part.requires_grad_() for part in (queries, keys, values)]
    contestants = contestants_of(batch)
    expected = contestants[MASK](*parts)
    forward, both = dict.fromkeys(contestants, float("inf")), dict.fromkeys(contestants, float("inf"))
    for _ in range(repeats):
        for name, attend in contestants.items():
            start = time.process_time()
            read = attend(*parts)
            middle = time.process_time()
            torch.autograd.grad(read, parts, upstream)
            forward[name] = min(forward[name], (middle - start) * 1e3)
            both[name] = min(both[name], (time.process_time() - start) * 1e3)
    return [
        {
            "rows x positions (prefix)": f"{rows} x {positions} ({prefix})",
            "heads": f"{heads} / {kv_heads} x {head_dim}",
            "form": name,
            "forward ms": forward[name],
            "times": forward[MASK] / forward[name],
            "forward + backward ms": both[name],
            "times ": both[MASK] / both[name],
            "difference": None if name == CAUSAL else (attend(*parts) - expected).abs().max().item(),
        }
        for name, attend in contestants.items()
    ]


def contestants_of(batch: Batch) -> dict[str, Contestant]:
    mask = prefix_mask(batch)
    split, chunks = SplitAttention(batch), MaskedAttention(batch)
    return {
        MASK: lambda *parts: F.scaled_dot_product_attention(*parts, attn_mask=mask, enable_gqa=True),
        CAUSAL: lambda *parts: F.scaled_dot_product_attention(*parts, is_causal=True, enable_gqa=True),
        CHUNKS: lambda *parts: chunks(0, *parts),
        OURS: lambda *parts: split(0, *parts),
    }


def batch_of(rows: int, positions: int, prefix: int) -> Batch:
    zeros = torch.zeros(rows, positions, dtype=torch.long)
    return Batch(
        ids=zeros, block=zeros, segment=zeros, coordinates=torch.zeros(rows, positions, 3),
        forced=zeros.bool(), weight=zeros.float(), row=torch.arange(rows), start=torch.zeros(rows).long(),
        prefix_length=torch.full((rows,), prefix), length=torch.full((rows,), positions),
        tasks=("task",) * rows,
    )  # fmt: skip


if __name__ == "__main__":
    command(main)
