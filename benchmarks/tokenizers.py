"""What encoding and decoding a clip costs: parameters, operations, CPU seconds and memory, random weights.

    python -m benchmarks.tokenizers compact-128 magvit2-128 magvit2-pytorch-2^18
    python -m benchmarks.tokenizers compact-128 magvit2-pytorch-2^18 --layers readme

Names are configs of the video tokenizer or peers; ratios are to the first. Every tokenizer here codes 4
frames of 8x8 pixels as one, so that all make the same grid of codes.
"""

import argparse
import json

import torch
from torch.utils.flop_counter import FlopCounterMode

from .contestants import PEER_LAYERS, PEERS, build
from .measuring import (
    Record,
    command,
    cpu_seconds,
    machine,
    markdown_table,
    peak_memory,
    reset_peak_memory,
    run_each,
)


def main() -> None:
    arguments = parse()
    if arguments.contestant:
        print(json.dumps(measure(arguments)))
        return
    print(json.dumps(machine(threads=1)))
    options = ["--size", str(arguments.size), "--frames", str(arguments.frames)]
    options += ["--repeats", str(arguments.repeats), "--layers", arguments.layers]
    records = run_each("benchmarks.tokenizers", arguments.names, options)
    first = _seconds(records[0])
    print(markdown_table([record | {"times the first": _seconds(record) / first} for record in records]))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tokenizers", description=__doc__.splitlines()[0]
    )
    parser.add_argument("names", nargs="*", help=f"configs/tokenizer/NAME.yaml, or {', '.join(PEERS)}")
    parser.add_argument("--size", type=int, default=128, help="height and width of the frames")
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--repeats", type=int, default=2, help="the fastest counts")
    parser.add_argument("--layers", choices=PEER_LAYERS, default="convolutions", help="of magvit2-pytorch")
    parser.add_argument("--contestant", help="measure this one in this process")
    arguments = parser.parse_args()
    if not (arguments.names or arguments.contestant):
        parser.error("name a config or a peer")
    return arguments


@torch.no_grad()
def measure(arguments: argparse.Namespace) -> Record:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    contestant = build(arguments.contestant, arguments.size, peer_layers=arguments.layers)
    contestant.network.eval()
    pixels = torch.rand(1, 3, arguments.frames, arguments.size, arguments.size) * 2 - 1
    with FlopCounterMode(display=False) as encoding:
        codes = contestant.encode(pixels)
    with FlopCounterMode(display=False) as decoding:
        contestant.decode(codes)
    reset_peak_memory()
    encode_seconds, codes = cpu_seconds(lambda: contestant.encode(pixels), arguments.repeats)
    decode_seconds, frames = cpu_seconds(lambda: contestant.decode(codes), arguments.repeats)
    if frames.shape != pixels.shape:
        raise ValueError(f"{arguments.contestant} decodes {tuple(pixels.shape)} to {tuple(frames.shape)}")
    return {
        "contestant": arguments.contestant,
        "grid": "x".join(map(str, codes.shape[1:])),
        "codes": contestant.codebook_size,
        "parameters": contestant.num_parameters,
        "encode GFLOP": encoding.get_total_flops() / 1e9,
        "decode GFLOP": decoding.get_total_flops() / 1e9,
        "encode s": encode_seconds,
        "decode s": decode_seconds,
        "peak GB": peak_memory() / 1e9,
    }


def _seconds(record: Record) -> float:
    return record["encode s"] + record["decode s"]


if __name__ == "__main__":
    command(main)
