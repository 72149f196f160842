"""Memory of a training step of the language model: what is foretold, and what a process then holds.

    python -m benchmarks.memory debug demo --grid 3 6 6

Foretold is what `videolm info CONFIG` adds up (`lm.memory`), for text_to_video with the longest text, 2^18
codes and the batch of the config. Measured is the growth of the process' resident memory, at its peak in two
steps, over what it held before the model was made; a small model has made two steps before that.
"""

import argparse
import ctypes
import json
from collections import Counter
from typing import Any

import torch

from videolm.cli.config_files import packaged_config, read_config
from videolm.lm.batch import Batch
from videolm.lm.model.transformer import LMConfig
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.lm.training.loss import loss_of
from videolm.lm.training.memory import Plan, memory_of
from videolm.lm.vocabulary import Vocabulary
from videolm.tasks.layout import Layout
from videolm.tasks.spans import Lengths
from videolm.tasks.task import load_task
from videolm.tasks.text_budget import LEAST_PIECES, LEAST_VOCABULARY

from .measuring import Record, command, machine, markdown_table, peak_memory, reset_peak_memory, run_each

TASK = "text_to_video"
STEPS = 2
_MIB = 2**20


def main() -> None:
    arguments = parse()
    grid = tuple(arguments.grid)
    if arguments.contestant:
        print(json.dumps(measure(arguments.contestant, grid, arguments.batch)))
        return
    print(json.dumps(machine(threads=1)))
    options = ["--grid", *map(str, grid), *(["--batch", str(arguments.batch)] if arguments.batch else [])]
    print(markdown_table(run_each("benchmarks.memory", arguments.configs, options)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="*", default=["debug", "demo"], help="of the language model")
    parser.add_argument("--grid", type=int, nargs=3, default=[3, 6, 6], metavar=("T", "H", "W"))
    parser.add_argument("--batch", type=int, help="rows of a batch; the config's if not given")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(name: str, grid: tuple[int, ...], rows: int | None) -> Record:
    """Estimate and peak of one config, in MiB."""
    torch.set_num_threads(1)
    config = read_config(packaged_config(name, "lm"))
    vocabulary = Vocabulary.of_sizes(audio=(), text=config["data"].get("text_vocab_size", LEAST_VOCABULARY))
    batch = batch_of(vocabulary, grid, rows or config["data"]["batch_size"])
    with torch.device("meta"):
        held = memory_of(training_of(config["model"], vocabulary), vocabulary, plan_of(batch, vocabulary))
    small = read_config(packaged_config("debug", "lm"))
    train(training_of(small["model"], vocabulary), batch_of(vocabulary, (1, 2, 2), 1))
    ctypes.CDLL(None).malloc_trim(0)  # else the model would live in what those steps left behind
    before = reset_peak_memory()
    train(training_of(config["model"], vocabulary), batch)
    estimate, measured = sum(held.values()) / _MIB, (peak_memory() - before) / _MIB
    states = sum(held[part] for part in ("weights", "gradients", "optimizer")) / _MIB
    return {
        "config": name,
        "rows x positions": "x".join(map(str, batch.ids.shape)),
        "weights, gradients, optimizer MiB": states,
        "activations, work space MiB": estimate - states,
        "foretold MiB": estimate,
        "measured MiB": measured,
        "measured / foretold": measured / estimate,
    }


def training_of(settings: dict[str, Any], vocabulary: Vocabulary) -> LanguageModelTraining:
    """The training of a config's section `model`."""
    return LanguageModelTraining(**settings | {"model": LMConfig(**settings["model"])}, vocabulary=vocabulary)


def batch_of(vocabulary: Vocabulary, grid: tuple[int, ...], rows: int) -> Batch:
    """Equal rows of the task; which codes they hold does not matter here."""
    layout = Layout.of(load_task(TASK), vocabulary, Lengths(*grid, text=LEAST_PIECES))
    codes = {name: torch.zeros(shape, dtype=torch.long) for name, shape in layout.shapes.items()}
    return Batch.collate([layout.pack(codes)] * rows)


def plan_of(batch: Batch, vocabulary: Vocabulary) -> Plan:
    counts = Counter(batch.block[batch.weight > 0].tolist())
    targets = {vocabulary.blocks[index].name: count for index, count in counts.items()}
    return Plan(*batch.ids.shape, targets)


def train(training: LanguageModelTraining, batch: Batch) -> None:
    """Steps that keep their gradients, as those of an accumulation do."""
    optimizer = training.make_optimizer()
    for _ in range(STEPS):
        loss_of(training.model, batch).mean.backward()
        optimizer.step()


if __name__ == "__main__":
    command(main)
