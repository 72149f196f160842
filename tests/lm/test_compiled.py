"""A pass that is compiled once gives the ids of sequential decoding.

In a process of its own: the checks of shapes that wrap every function in tests cannot be compiled.
"""

import pickle
import subprocess
import sys

import pytest

PROGRAM = """
import functools, pickle, sys
import torch
from torch._dynamo.utils import counters
from videolm.lm import generate as module
from videolm.lm.compiled import CompiledDecoder
from videolm.lm.sampling import Sampling

with open(sys.argv[1], "rb") as file:
    model, cases = pickle.load(file)
module.CompiledDecoder = functools.partial(CompiledDecoder, backend=sys.argv[2])

def run(decoding, batch, without, scale):
    generators = [torch.Generator().manual_seed(row) for row in range(len(batch))]
    sampling = Sampling(guidance_scale=scale, decoding=decoding)
    return module.generate(model, batch, sampling, generators, without)

for case in cases:
    before = [run("compiled", *case), run("sequential", *case)]
    graphs = counters["stats"]["unique_graphs"]
    with torch.no_grad():
        model.layers[0].project_out.weight.mul_(1.5)
    after = [run("compiled", *case), run("sequential", *case)]
    print(torch.equal(*before), torch.equal(*after), torch.equal(before[0], after[0]))
    print(graphs > 0, counters["stats"]["unique_graphs"] == graphs)
"""


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_ids_are_those_of_sequential_decoding(make_model, make_batch, tmp_path, backend):
    """Also for the next clip with other weights, for which nothing is compiled again."""
    how = {"grid": (3, 2, 3), "given": 5}
    cases = [(make_batch(3, **how), None, 1.0)]
    if backend == "eager":
        cases.append((make_batch(3, 6, 3, **how), make_batch(0, 0, 0, **how), 2.0))
    path = tmp_path / "cases.pickle"
    path.write_bytes(pickle.dumps((make_model().double(), cases)))
    command = [sys.executable, "-c", PROGRAM, str(path), backend]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["True True False", "True True"] * len(cases) + [""]
