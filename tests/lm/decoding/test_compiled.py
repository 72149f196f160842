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
from videolm.lm.decoding import generate as module
from videolm.lm.decoding.compiled import CompiledDecoder
from videolm.lm.decoding.sampling import DrawSettings

with open(sys.argv[1], "rb") as file:
    model, cases = pickle.load(file)

def run(decoding, batch, without, scale):
    generators = [torch.Generator().manual_seed(row) for row in range(len(batch))]
    sampling = DrawSettings(guidance_scale=scale, decoding=decoding)
    return module.generate(model, batch, sampling, generators, without)

for backend, *case in cases:
    module.CompiledDecoder = functools.partial(CompiledDecoder, backend=backend)
    counters.clear()
    before = [run("compiled", *case), run("sequential", *case)]
    graphs = counters["stats"]["unique_graphs"]
    with torch.no_grad():
        model.layers[0].project_out.weight.mul_(1.5)
    after = [run("compiled", *case), run("sequential", *case)]
    print(torch.equal(*before), torch.equal(*after), torch.equal(before[0], after[0]))
    print(graphs > 0, counters["stats"]["unique_graphs"] == graphs)
"""


@pytest.mark.long
def test_ids_are_those_of_sequential_decoding(make_model, make_batch, tmp_path):
    """Also for the next clip with other weights, for which nothing is compiled again."""
    how = {"grid": (3, 2, 3), "given": 5}
    alone, guided = make_batch(3, **how), (make_batch(3, 6, 3, **how), make_batch(0, 0, 0, **how), 2.0)
    cases = [("eager", alone, None, 1.0), ("eager", *guided), ("inductor", alone, None, 1.0)]
    path = tmp_path / "cases.pickle"
    path.write_bytes(pickle.dumps((make_model().double(), cases)))
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["True True False", "True True"] * len(cases) + [""]
