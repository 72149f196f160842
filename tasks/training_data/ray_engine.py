"""The same shards from many processes or machines: Ray Data hands out ranges of pieces (extra `ray`).

The folder of the shards, the clips and the model must be at the same paths on all machines. Every worker
keeps its tokenizers and writes shards of its own; here only the index is made of them in the end.
"""

import os
from collections.abc import Callable
from contextlib import chdir
from typing import Any

import torch

from ...data.loading.reader_pool import read_entries
from ...data.runtime.confinement import VARIABLE as CONFINE
from ...data.runtime.import_path import isolate, isolated_environment
from ...data.runtime.progress import progress
from .encode_shards import Encoded, Ranges


class RangeEncoder:
    """What runs on a worker.

    Args:
        make: the ranges, tokenizers included; called once on each worker.
        threads: of PyTorch, so that sums have the order that they have in one process.
        folder: from which relative paths in `make` count.
    """

    def __init__(self, make: Callable[[], Ranges], threads: int, folder: str):
        torch.set_num_threads(threads)
        os.chdir(folder)
        self.ranges = make()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        number = int(row["id"])
        pieces = self.ranges.pieces(number)
        self.ranges.encode(number, read_entries(self.ranges.source, pieces, num_workers=1))
        return {"pieces": len(pieces)}


def encode_with_ray(make: Callable[[], Ranges], num_workers: int) -> Encoded:
    """Encode the missing ranges with Ray Data, on its cluster or, without one, on this machine.

    Args:
        make: the ranges; must be picklable and mean the same on every machine.
        num_workers: how many tokenize side by side; each takes a GPU if the tokenizers are on one.

    Raises:
        ValueError: if Ray is not installed, or no clip could be used.
    """
    ray = _ray()
    ranges = make()
    missing = ranges.missing()
    if changes := ranges.changes(missing):
        print(changes)
    if missing:
        if not ray.is_initialized():
            isolate()  # its own processes as well as the workers
            environment = {CONFINE: "", **isolated_environment()}
            variables = {name: environment[name] for name in ("PYTHONPATH", "PYTHONSAFEPATH", CONFINE)}
            # Ray's workers import from the folder in which it is started, before all others.
            with chdir(os.path.abspath(os.sep)):
                ray.init(include_dashboard=False, runtime_env={"env_vars": variables})
        for writer in ranges.writers:
            writer.finish()  # the format is said once, before the workers begin
        _run(ray, make, ranges, missing, num_workers)
    return ranges.finish()


def _run(ray: Any, make: Callable[[], Ranges], ranges: Ranges, missing: list[int], num_workers: int) -> None:
    threads = torch.get_num_threads()
    on_gpu = next(ranges.encoders[0].video.parameters()).is_cuda
    rows = ray.data.from_items([{"id": number} for number in missing], override_num_blocks=len(missing))
    encoded = rows.map(
        RangeEncoder,
        fn_constructor_args=(make, threads, os.getcwd()),
        concurrency=max(num_workers, 1),
        num_gpus=int(on_gpu),
    )
    total = sum(len(ranges.pieces(number)) for number in missing)
    with progress("encode", total) as report:
        done = 0
        for row in encoded.iter_rows():
            done += row["pieces"]
            report(done)


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # pyright: ignore[reportMissingImports]  an extra
        import ray.data  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError("engine ray needs Ray Data; install the extra videolm[ray]") from error
    return ray
