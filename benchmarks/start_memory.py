"""Memory of the host at the start of a sharded training: the most that each process holds.

    python -m benchmarks.start_memory --processes 2

Each process makes the same model and keeps its share of it (FSDP2), on CPUs by gloo. `whole`: it is made as a
single process makes it and then divided. `parts`: it is made without memory, divided, and drawn one weight
after the other (`lm/training/parallel.py`). `read`: then it is also read from a model folder, in the same
way. Measured is the growth of the peak of resident memory after the same was done with a tiny model.
"""

import argparse
import json
import resource
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from torch import distributed
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.finetuning import start_from
from videolm.lm.training.parallel import materialise, shard
from videolm.lm.vocabulary import Vocabulary

from .measuring import machine, markdown_table

SIZES = LMConfig(dim=1024, layers=8, heads=16, kv_heads=4, hidden=3200)
_MIB, _KIB = 2**20, 2**10


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.start_memory", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--processes", type=int, default=2)
    processes = parser.parse_args().processes
    print(json.dumps(machine(threads=1)))
    records = []
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Vocabulary.of_sizes()
        vocabulary.save(Path(folder) / "vocabulary.json")
        with torch.device("meta"):
            model = PrefixLM(SIZES, vocabulary)
        model.to_empty(device="cpu").save_pretrained(Path(folder) / "lm")
        weights = sum(weight.numel() for weight in model.parameters()) * 4 / _MIB
        for way in ("whole", "parts", "read"):
            torch.multiprocessing.spawn(_start, (processes, way, folder), nprocs=processes)
            peaks = [float((Path(folder) / f"{rank}.txt").read_text()) for rank in range(processes)]
            ratio = max(peaks) / weights
            records.append({"way": way, "weights MiB": weights, "peak MiB": max(peaks), "times": ratio})
    print(markdown_table(records))


def _start(rank: int, processes: int, way: str, folder: str) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting-{way}"
    distributed.init_process_group("gloo", meeting, rank=rank, world_size=processes)
    names = ("data_parallel", "tensor_parallel")
    mesh = init_device_mesh("cpu", (processes, 1), mesh_dim_names=names)
    vocabulary = Vocabulary.load(Path(folder) / "vocabulary.json")
    _make(replace(SIZES, dim=64, hidden=64, layers=1, rotary_dims=(2, 2, 0)), vocabulary, mesh, way, folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _make(SIZES, vocabulary, mesh, way, folder)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * _KIB / _MIB
    (Path(folder) / f"{rank}.txt").write_text(str(peak))
    distributed.destroy_process_group()


def _make(sizes: LMConfig, vocabulary: Vocabulary, mesh: DeviceMesh, way: str, folder: str) -> None:
    with torch.device("cpu" if way == "whole" else "meta"):
        model = PrefixLM(sizes, vocabulary)
    shard(model, mesh, half=False)
    if way != "whole":
        materialise(model, vocabulary, torch.device("cpu"))
    if way == "read" and sizes == SIZES:
        start_from(model, vocabulary, Path(folder))


if __name__ == "__main__":
    main()
