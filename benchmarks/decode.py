"""Decoding: milliseconds a token, time to the first one and share of the memory's bandwidth, against peers.

    python -m benchmarks.decode                                # all contestants, 128 tokens after 320
    python -m benchmarks.decode videolm hf-dynamic --tokens 32

The same body for all: 8 layers of width 640, 10 heads, SwiGLU of 2400, a vocabulary of 266,496 ids, random
weights, float32. Each contestant runs in a process of its own on one thread and is timed by CPU seconds:
once for the first token alone, once for all of them; the difference is the cost of the tokens between.
"""

import argparse
import json
import time

import torch

from .decoders import CONTESTANTS, Contestant, build
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

BASELINE = "hf-dynamic"
_RATE_MATRIX = 2**26  # numbers of float32: 256 MiB, far more than a cache keeps for one guest


def main() -> None:
    arguments = parse()
    options = ["--prefix", str(arguments.prefix), "--tokens", str(arguments.tokens)]
    options += ["--repeats", str(arguments.repeats)]
    if arguments.contestant:
        record = measure(arguments.contestant, arguments.prefix, arguments.tokens, arguments.repeats)
        print(json.dumps(record))
        return
    print(json.dumps(machine(threads=1)))
    records = run_each("benchmarks.decode", arguments.contestants or list(CONTESTANTS), options)
    print(markdown_table([row for record in records for row in rows(record, records)]))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decode", description=__doc__.splitlines()[0])
    parser.add_argument("contestants", nargs="*", metavar="NAME", help=f"of {', '.join(CONTESTANTS)}")
    parser.add_argument("--prefix", type=int, default=320, help="positions given")
    parser.add_argument("--tokens", type=int, default=128, help="positions timed after the first")
    parser.add_argument("--repeats", type=int, default=3, help="of each timing; the least counts")
    parser.add_argument("--contestant", choices=CONTESTANTS, help="measure this one in this process")
    arguments = parser.parse_args()
    for name in arguments.contestants:
        if name not in CONTESTANTS:
            parser.error(f"unknown contestant {name!r}; there are {', '.join(CONTESTANTS)}")
    return arguments


def measure(name: str, prefix: int, tokens: int, repeats: int) -> Record:
    """What one contestant needs in each of its modes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    contestant = build(name, prefix, 1 + tokens)
    reset_peak_memory()
    record: Record = {"contestant": name, "prefix": prefix, "tokens": tokens}
    for mode in contestant.modes:
        record[mode] = _measure_mode(contestant, mode, prefix, tokens, repeats)
    record["peak_gb"] = round(peak_memory() / 1e9, 2)
    return record


def _measure_mode(
    contestant: Contestant, mode: str, prefix: int, tokens: int, repeats: int
) -> dict[str, float]:
    run, rows = contestant.modes[mode]
    run(2)
    first, whole, bandwidth = float("inf"), float("inf"), 0.0
    for _ in range(repeats):
        # Side by side, since the bandwidth depends on what else the machine does.
        first = min(first, cpu_seconds(lambda: run(1))[0])
        whole = min(whole, cpu_seconds(lambda: run(1 + tokens))[0])
        bandwidth = max(bandwidth, read_bandwidth())
    token = (whole - first) / tokens
    read = contestant.weight_bytes + rows * contestant.cache_bytes * (prefix + tokens / 2)
    return {
        "first_ms": round(first * 1e3, 1),
        "token_ms": round(token * 1e3, 2),
        "bound_ms": round(read / bandwidth * 1e3, 2),
        "bound_share": round(read / bandwidth / token, 3),
        "gb_per_s": round(bandwidth / 1e9, 1),
    }


def read_bandwidth(repeats: int = 5) -> float:
    """Bytes a second that one thread reads: the best of several products of a large matrix and a vector."""
    matrix, vector = torch.ones(2**12, _RATE_MATRIX // 2**12), torch.ones(_RATE_MATRIX // 2**12)
    seconds = min(_wall(lambda: torch.mv(matrix, vector)) for _ in range(repeats))
    return matrix.numel() * matrix.element_size() / seconds


def _wall(function) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def rows(record: Record, records: list[Record]) -> list[Record]:
    """Rows of the table; ratios are to Hugging Face's dynamic cache in the same mode."""
    baseline = next((each for each in records if each["contestant"] == BASELINE), {})
    made = []
    for mode, found in record.items():
        if not isinstance(found, dict):
            continue
        peer = baseline.get(mode)
        made.append(
            {
                "contestant": record["contestant"],
                "mode": mode,
                "ms / token": found["token_ms"],
                "times faster": peer and round(peer["token_ms"] / found["token_ms"], 2),
                "of the bound": found["bound_share"],
                "first token, ms": found["first_ms"],
                "first, times faster": peer and round(peer["first_ms"] / found["first_ms"], 2),
                "peak GB": record["peak_gb"],
            }
        )
    return made


if __name__ == "__main__":
    command(main)
