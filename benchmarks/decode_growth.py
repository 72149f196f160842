"""How decoding grows: milliseconds a token along the sequence, memory and milliseconds along the batch.

    python -m benchmarks.decode_growth                                   # all contestants
    python -m benchmarks.decode_growth --plot docs/decode-length.png     # and a picture

The body of `benchmarks.decode` with random weights, greedy, one thread, CPU time, a process for each
contestant. A token costs the median of several that follow `length` positions; its bound is reading all
weights and the cache once. A batch has different prompts of 1,280 positions, and its memory is what is held
beyond the weights at the worst moment. Hugging Face's Llama is called position by position, without what its
`generate` adds.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch

from .decode import read_bandwidth
from .decoders import CACHE_BYTES, HEADS, VOCABULARY, llama, prefix_lm, read_bytes, records_of
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

LENGTHS = (256, 512, 1024, 2048, 4096, 4928)
BATCHES, BATCH_PREFIX, BATCH_TOKENS = (1, 2, 4, 8), 1280, 5

Steps = Callable[[int, int, int], Iterator[object]]
"""(rows, positions given, tokens) -> an item for every token."""


def main() -> None:
    arguments = parse()
    if arguments.contestant:
        print(json.dumps(measure(arguments.contestant, arguments.tokens)))
        return
    print(json.dumps(machine(threads=1)))
    names = arguments.contestants or list(CONTESTANTS)
    records = run_each("benchmarks.decode_growth", names, ["--tokens", str(arguments.tokens)])
    print(markdown_table([row for record in records for row in rows(record, "lengths", LENGTHS)]))
    print(markdown_table([row for record in records for row in rows(record, "batches", BATCHES)]))
    if arguments.plot is not None:
        draw(records, arguments.plot)
        print(f"wrote {arguments.plot}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decode_growth", description=__doc__.splitlines()[0]
    )
    parser.add_argument("contestants", nargs="*", metavar="NAME", help=f"of {', '.join(CONTESTANTS)}")
    parser.add_argument("--tokens", type=int, default=25, help="timed at each length")
    parser.add_argument("--plot", type=Path, help="picture to draw")
    parser.add_argument("--contestant", choices=CONTESTANTS, help="measure this one in this process")
    arguments = parser.parse_args()
    for name in arguments.contestants:
        if name not in CONTESTANTS:
            parser.error(f"unknown contestant {name!r}; there are {', '.join(CONTESTANTS)}")
    return arguments


def prefix_lm_steps(kv_heads: int) -> tuple[Steps, int, int]:
    """Steps, bytes of weights that each reads, and bytes of the cache of a position."""
    from videolm.lm.decoding.generate import Generation
    from videolm.lm.decoding.sampling import DrawSettings

    model = prefix_lm(kv_heads=kv_heads)

    def steps(rows: int, given: int, tokens: int) -> Iterator[object]:
        generators = [torch.Generator() for _ in range(rows)]
        greedy = DrawSettings(temperature=0.0)
        yield from Generation(model, records_of(given, tokens, rows), greedy, generators)

    return steps, read_bytes(model), CACHE_BYTES * kv_heads // HEADS


def llama_steps() -> tuple[Steps, int, int]:
    model = llama()

    @torch.inference_mode()
    def steps(rows: int, given: int, tokens: int) -> Iterator[object]:
        ids, cache = torch.randint(VOCABULARY, (rows, given)), None
        for _ in range(tokens):
            made = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            ids, cache = made.logits[:, -1:].argmax(-1), made.past_key_values
            yield ids

    return steps, sum(each.numel() * each.element_size() for each in model.parameters()), CACHE_BYTES


CONTESTANTS: dict[str, Callable[[], tuple[Steps, int, int]]] = {
    "hf-dynamic": llama_steps,
    "videolm": lambda: prefix_lm_steps(HEADS),
    "videolm-2-kv-heads": lambda: prefix_lm_steps(2),
}


def measure(name: str, tokens: int) -> Record:
    """What one contestant needs at every length and for every batch."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    steps, weights, cached = CONTESTANTS[name]()
    list(steps(1, 64, 3))
    held = reset_peak_memory()
    # Batches first, from the smallest: what one leaves to the process is less than what the next needs.
    batches = [measure_batch(steps, batch, cached, held) for batch in BATCHES]
    lengths = []
    for length in LENGTHS:
        _, token = timed(steps(1, length, 1 + tokens))
        bound = (weights + cached * length) / read_bandwidth()
        lengths.append({"ms a token": round(token * 1e3, 2), "bound, ms": round(bound * 1e3, 2)})
    return {"contestant": name, "lengths": lengths, "batches": batches}


def measure_batch(steps: Steps, batch: int, cached: int, held: int) -> Record:
    """Time of a batch of different prompts, and the memory that it needs beyond the bytes `held` before."""
    reset_peak_memory()
    first, step = timed(steps(batch, BATCH_PREFIX, 1 + BATCH_TOKENS))
    return {
        "first, s": round(first, 2),
        "ms a code": round(step / batch * 1e3, 2),
        "extra MB": round((peak_memory() - held) / 1e6),
        "of it cache": round(batch * cached * BATCH_PREFIX / 1e6),
    }


def timed(steps: Iterator[object]) -> tuple[float, float]:
    """CPU seconds until the first token, and the median of the others."""
    times = []
    while True:
        seconds, item = cpu_seconds(lambda: next(steps, None))
        if item is None:
            return times[0], median(times[1:])
        times.append(seconds)


def rows(record: Record, part: str, sizes: tuple[int, ...]) -> list[Record]:
    """Rows of a table: one a measure, a column for each size."""
    return [
        {"contestant": record["contestant"], part: measure}
        | {f"{size:,}": found[measure] for size, found in zip(sizes, record[part], strict=True)}
        for measure in record[part][0]
    ]


def _values(found: list[Record], measure: str) -> list[float]:
    return [each[measure] for each in found]


def draw(records: list[Record], path: Path) -> None:
    """Milliseconds a token over the length, with their bound, and memory over the batch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    length, batch = figure.subplots(1, 2)
    for record in records:
        name = record["contestant"]
        (line,) = length.plot(LENGTHS, _values(record["lengths"], "ms a token"), marker=".", label=name)
        length.plot(LENGTHS, _values(record["lengths"], "bound, ms"), linestyle=":", color=line.get_color())
        batch.plot(BATCHES, _values(record["batches"], "extra MB"), marker=".", label=name)
    length.set(xlabel="positions before the token (dotted: all read once)", ylim=(0, None))
    length.set_ylabel("CPU ms a token")
    batch.set(xlabel=f"rows of {BATCH_PREFIX:,} positions", ylabel="MB beyond the weights", ylim=(0, None))
    length.legend()
    for panel in (length, batch):
        panel.grid(alpha=0.3)
    FigureCanvasAgg(figure).print_png(path)


if __name__ == "__main__":
    command(main)
