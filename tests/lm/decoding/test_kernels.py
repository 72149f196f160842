"""The kernels of one position, run by Triton's interpreter where there is no GPU.

In a process of its own, since the interpreter is chosen when the kernels are defined.
"""

import importlib.util
import os
import pickle
import subprocess
import sys

import pytest
import torch

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs Triton")

PROGRAM = """
import pickle, sys
import torch
from videolm.lm.decoding import kernels
from videolm.lm.decoding.cache import KVCache
from videolm.lm.decoding.inference import InferenceBody

device = "cuda" if torch.cuda.is_available() else "cpu"
with open(sys.argv[1], "rb") as file:
    model = pickle.load(file)
dtype = getattr(torch, sys.argv[2])
model.to(device, dtype)
rows, columns, config = 2, 150, model.config
assert kernels.can_run(model, rows) and not kernels.can_run(model, 9)
generator = torch.Generator().manual_seed(0)
draw = lambda *shape: torch.randn(*shape, generator=generator).to(device)
start = torch.tensor([0, 70], device=device)
body = InferenceBody(model)
turn = body.turn(model.rotation(10 * draw(rows, columns + 3, 3)))  # a sequence goes on behind its cache
sizes = (config.layers, rows, config.kv_heads, columns, config.head_dim)
caches = [KVCache(*sizes, model.norm.weight, start) for _ in range(2)]
for own, other in zip((*caches[0].keys, *caches[0].values), (*caches[1].keys, *caches[1].values)):
    own[:, :, :100] = draw(*own.shape)[:, :, :100]
    other.copy_(own)
by_kernels = kernels.KernelBody(model, caches[1], turn, start)

def error(found, expected):
    return float((found - expected).double().norm() / expected.double().norm())

with torch.no_grad():
    for column in (100, 101, 127, 128, 149):
        embedded = draw(rows, 1, config.dim).to(dtype)
        caches[0].length = column
        part = tuple(each[:, column : column + 1] for each in turn)
        expected = body(embedded, part, caches[0].following(1), 1)
        print(error(by_kernels(embedded, torch.tensor([column], device=device)), expected))
for own, other in zip((*caches[0].keys, *caches[0].values), (*caches[1].keys, *caches[1].values)):
    print(error(other, own))
"""


ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="the interpreter cannot multiply these")


@pytest.mark.parametrize(
    ("dtype", "most"),
    [("float32", 5e-6), ("float16", 5e-3), pytest.param("bfloat16", 3e-2, marks=ON_GPU)],
)
def test_kernels_compute_what_the_layers_do(tmp_path, vocabulary, dtype, most):
    """Also rows that begin later, at the first and the last column of a program, and the cache."""
    from videolm.lm.model.transformer import LMConfig, PrefixLM

    torch.manual_seed(0)
    config = LMConfig(dim=96, layers=2, heads=6, kv_heads=2, hidden=80, rotary_dims=(4, 4, 4))
    model = PrefixLM(config, vocabulary).eval()
    for parameter in model.layers.parameters():
        size = parameter.shape[-1]
        torch.nn.init.normal_(parameter, 0.0 if parameter.dim() > 1 else 1.0, size**-0.5)
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps(model))
    environment = os.environ | ({} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), dtype], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    errors = [float(line) for line in done.stdout.split()]
    assert len(errors) == 9 and max(errors) < most
