"""Windowed attention of super-resolution beside full attention: operations, seconds and memory. Two minutes.

    OMP_NUM_THREADS=1 python -m benchmarks.super_resolution_cost            # scores and values, three sizes
    OMP_NUM_THREADS=1 python -m benchmarks.super_resolution_cost --step     # whole passes of a small stage

Operations are counted by torch.utils.flop_counter on the very calls that are timed, in their plain form
(products and softmax), which it knows on CPUs; seconds are those of the fused form that training uses, the
least CPU time of several turns.
"""

import argparse
import json
from dataclasses import replace
from functools import partial
from math import prod

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from videolm.data.codes.clip_format import ClipFormat
from videolm.super_resolution.batch import Condition
from videolm.super_resolution.stage_clips import StageClips
from videolm.super_resolution.training.costs import full_pairs, pass_flops, window_pairs
from videolm.super_resolution.transformer import StageConfig, SuperResolution, SuperResolutionConfig
from videolm.super_resolution.windows import WindowAttention, Windows

from .measuring import Record, cpu_seconds, machine, markdown_table

GRIDS = ((5, 14, 8), (5, 28, 16), (5, 56, 32), (5, 112, 64))
# The paper's windows of the stages; of the smaller grids those of the first stage, which they cut.
WINDOWS = {
    (5, 14, 8): ((1, 56, 4), (1, 8, 32), (5, 8, 8)),
    (5, 28, 16): ((1, 56, 4), (1, 8, 32), (5, 8, 8)),
    (5, 56, 32): ((1, 56, 4), (1, 8, 32), (5, 8, 8)),
    (5, 112, 64): ((1, 112, 2), (1, 4, 64), (5, 8, 8)),
}
HEADS, HEAD_DIM = 4, 64
LONG = 10_000  # positions from which full attention is counted and not run: it would take minutes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--step", action="store_true", help="measure whole passes")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(machine(threads=1)))
    measure = whole_pass if arguments.step else scores_and_values
    for grid in GRIDS:
        print(markdown_table(measure(grid, arguments.repeats)), flush=True)


@torch.no_grad()
def scores_and_values(grid: tuple[int, int, int], repeats: int) -> list[Record]:
    """Self-attention and attention to the low-resolution codes of a block's three layers, against as many
    layers without windows."""
    config = config_of(grid)
    pairs = config.layer_windows()
    seen = [(WindowAttention(large, large), WindowAttention(large, low)) for large, low in pairs]
    whole = Windows.of(grid, grid)
    low = Windows.of(config.clips.low.grid, config.clips.low.grid)
    full = [(WindowAttention(whole, whole), WindowAttention(whole, low))] * 3
    own, other = (heads_of(prod(clips.grid)) for clips in (config.clips.large, config.clips.low))
    rows = []
    for name, layers in (("windows", seen), ("full", full)):
        count = sum(window_pairs(config)) if name == "windows" else 3 * full_pairs(config)
        analytic = 4 * HEADS * HEAD_DIM * count
        counted = counted_flops(layers, own, other)
        seconds = None
        if name == "windows" or prod(grid) < LONG:
            seconds, _ = cpu_seconds(partial(attend_all, layers, own, other), repeats)
        rows.append(
            {
                "grid": "x".join(map(str, grid)),
                "attention": name,
                "windows": sum(each.queries.count for each, _ in layers),
                "GFLOPs": analytic / 1e9,
                "counted by PyTorch": counted / 1e9,
                "seconds": seconds,
            }
        )
    return rows


@torch.no_grad()
def whole_pass(grid: tuple[int, int, int], repeats: int) -> list[Record]:
    """A forward pass of a stage of one block, with and without windows."""
    rows = []
    for name in ("windows", "full"):
        config = config_of(grid)
        if name == "full":
            sizes = replace(config.model, vertical=grid, horizontal=grid, temporal=grid)
            config = replace(config, model=sizes)
        torch.manual_seed(0)
        model = SuperResolution(config).eval()
        codes = torch.zeros(1, *grid, dtype=torch.long)
        condition = Condition.of(torch.zeros(1, *config.clips.low.grid, dtype=torch.long))
        given = (codes, torch.ones_like(codes, dtype=torch.bool), condition)
        seconds = None
        if name == "windows" or prod(grid) < LONG:
            seconds, _ = cpu_seconds(partial(model, *given), repeats)
        flops = pass_flops(model)
        rows.append(
            {
                "grid": "x".join(map(str, grid)),
                "attention": name,
                "scores and values, GFLOPs": flops.pairs / 1e9,
                "whole pass, GFLOPs": flops.total / 1e9,
                "seconds": seconds,
            }
        )
    return rows


def config_of(grid: tuple[int, int, int]) -> StageConfig:
    """A stage of one block for a grid of codes of 18 bits, 8 pixels each."""
    t, h, w = grid
    large = ClipFormat(8 * h, 8 * w, 1 + 4 * (t - 1), 8.0, grid, 4, (512, 512), "")
    low = replace(large, height=4 * h, width=4 * w, grid=(t, h // 2, w // 2))
    vertical, horizontal, temporal = WINDOWS[grid]
    sizes = SuperResolutionConfig(
        dim=HEADS * HEAD_DIM, blocks=1, heads=HEADS,
        vertical=vertical, horizontal=horizontal, temporal=temporal,
    )  # fmt: skip
    return StageConfig(sizes, StageClips.of(low, large))


def heads_of(positions: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, HEADS, positions, HEAD_DIM, generator=generator)


def attend_all(layers: list[tuple[WindowAttention, WindowAttention]], own: Tensor, other: Tensor) -> None:
    for windowed, low in layers:
        windowed(0, own, own, own)
        low(0, own, other, other)


def counted_flops(
    layers: list[tuple[WindowAttention, WindowAttention]], own: Tensor, other: Tensor
) -> int:
    """By PyTorch's own counter, which does not know the fused kernel of CPUs."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        attend_all(layers, own.to("meta"), other.to("meta"))
    return counter.get_total_flops()


if __name__ == "__main__":
    main()
