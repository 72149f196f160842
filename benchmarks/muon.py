"""Operations of Muon's Newton-Schulz iteration in a training step, and what the processes exchange for it.

    python -m benchmarks.muon 300m 1b 8b --processes 1 2 8 64

Counted from the shapes of a config's model, which is made without memory; nothing is run. Before is each
process iterating every matrix, fused ones as they are stored. Now is what `training/dealing.py` gives the
process that has most. On GPUs: whole matrices are iterated, and updates travel in bfloat16.
"""

import argparse
import json

import torch
from torch import nn

from videolm.cli.config_files import packaged_config, read_config
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.vocabulary import Vocabulary
from videolm.training.dealing import Part, deal, rounds
from videolm.training.muon import Groups, newton_schulz_flops, parameter_groups

from .measuring import Record, machine, markdown_table

_TOGETHER = 2**25  # as training/muon.py has it on GPUs
_TERA, _GIB = 1e12, 2**30


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.muon", description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="*", default=["300m", "1b", "8b"], help="of the language model")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 8, 64])
    arguments = parser.parse_args()
    print(json.dumps(machine(threads=1)))
    records = [
        record_of(name, groups_of(name), count) for name in arguments.configs for count in arguments.processes
    ]
    print(markdown_table(records))


def groups_of(name: str) -> Groups:
    """Muon's matrices of a packaged config."""
    sizes = read_config(packaged_config(name, "lm"))["model"]["model"]
    sizes = {key: tuple(value) if isinstance(value, list) else value for key, value in sizes.items()}
    vocabulary = Vocabulary.of_sizes(visual=(512, 512), audio=(1024,) * 4, text=8000)
    with torch.device("meta"):
        model = PrefixLM(LMConfig(**sizes), vocabulary)
    return parameter_groups([each for each in model.layers.modules() if isinstance(each, nn.Linear)], model)


def record_of(name: str, groups: Groups, processes: int) -> Record:
    """TFLOP and GiB of one process and step."""
    weights = sum(matrix.numel() for matrix in groups.matrices)
    before = sum(newton_schulz_flops(*matrix.shape) for matrix in groups.matrices)
    shares = deal(parts_of(groups), newton_schulz_flops, processes)
    loads = [sum(newton_schulz_flops(*part.shape) for part in share) for share in shares]
    largest = [max(sum(part.size for part in share) for share in some) for some in rounds(shares, _TOGETHER)]
    travels = processes > 1
    return {
        "config": name,
        "processes": processes,
        "before TFLOP": before / _TERA,
        "now TFLOP": max(loads) / _TERA,
        "times less": before / max(loads),
        "most / mean": max(loads) * processes / sum(loads),
        # Forward and backward pass of one position: six operations for each weight.
        "before, positions": before / (6 * weights),
        "now, positions": max(loads) / (6 * weights),
        "rounds": len(largest),
        "ddp GiB received": travels * 2 * sum(largest) * (processes - 1) / _GIB,
        "fsdp2 GiB received": (4 + 2) * weights * (processes - 1) / processes**2 / _GIB,
        "fsdp2 before GiB received": 4 * weights * (processes - 1) / processes / _GIB,
    }


def parts_of(groups: Groups) -> list[Part]:
    parts = []
    for number, matrix in enumerate(groups.matrices):
        start = 0
        for rows in groups.parts.get(matrix, (len(matrix),)):
            parts.append(Part(number, start, start + rows, matrix.shape[1]))
            start += rows
    return parts


if __name__ == "__main__":
    main()
