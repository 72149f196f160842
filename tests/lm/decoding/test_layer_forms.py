"""The layer in every form in which the package writes it, on one small random model.

The reference is `PrefixLM.body`, the layers as they are trained, over all columns at once. The forms of
generation go on from a cache with the keys and values of the first columns.
"""

import importlib.util
import os
import pickle
import subprocess
import sys

import pytest
import torch

from videolm.lm.decoding.cache import KVCache
from videolm.lm.decoding.compiled import step
from videolm.lm.decoding.inference import InferenceBody
from videolm.lm.model.attention import masked_attention
from videolm.lm.model.transformer import LMConfig, PrefixLM

FIRST, COLUMNS = 4, 10  # columns read before, and in all
START = [0, 3]  # the second row begins three columns later
CONFIG = LMConfig(dim=64, layers=3, heads=4, kv_heads=2, hidden=48, rotary_dims=(4, 4, 4), segments=4)

KERNELS = """
import pickle, sys
import torch
from videolm.lm.decoding.kernels import KernelBody

device = "cuda" if torch.cuda.is_available() else "cpu"
with open(sys.argv[1], "rb") as file:
    model, cache, embedded, turn, start = pickle.load(file)
model.to(device)
cache.keys, cache.values = ([each.to(device) for each in part] for part in (cache.keys, cache.values))
embedded, start, *turn = (each.to(device) for each in (embedded, start, *turn))
body = KernelBody(model, cache, tuple(turn), start)
with torch.no_grad():
    columns = range(cache.length, cache.columns)
    read = [body(embedded[:, [k]], torch.tensor([k], device=device)) for k in columns]
torch.save(torch.cat(read, dim=1).cpu(), sys.argv[2])
"""


class Case:
    """Inputs of the body, and its hidden states by the layers as they are trained."""

    def __init__(self, vocabulary, dtype):
        torch.manual_seed(0)
        self.model = PrefixLM(CONFIG, vocabulary).eval().to(dtype)
        for parameter in self.model.parameters():
            torch.nn.init.normal_(parameter, 0.0 if parameter.dim() > 1 else 1.0, 0.3)
        self.embedded = torch.randn(len(START), COLUMNS, CONFIG.dim, dtype=dtype)
        self.rotation = self.model.rotation(8 * torch.rand(len(START), COLUMNS, 3))
        self.turn = InferenceBody(self.model).turn(self.rotation)
        self.start = torch.tensor(START)
        column = torch.arange(COLUMNS)
        mask = (column <= column[:, None]) & (column >= self.start[:, None, None])
        mask = mask[:, None] | torch.eye(COLUMNS, dtype=torch.bool)  # what is before a start sees itself
        self.read = []

        def attend(layer, queries, keys, values):
            self.read.append((keys, values))
            return masked_attention(queries, keys, values, mask)

        with torch.no_grad():
            self.expected = self.model.body(self.embedded, self.rotation, attend)

    def cache(self) -> KVCache:
        """A cache of all columns, the first of which are filled."""
        sizes = CONFIG.layers, len(START), CONFIG.kv_heads, COLUMNS, CONFIG.head_dim
        cache = KVCache(*sizes, self.model.norm.weight.detach(), self.start)
        for layer, (keys, values) in enumerate(self.read):
            cache.keys[layer][:, :, :FIRST] = keys[:, :, :FIRST]
            cache.values[layer][:, :, :FIRST] = values[:, :, :FIRST]
        cache.length = FIRST
        return cache


def inference(case: Case, folder):
    """Three columns in one pass, of which the last two are wanted, then one column a pass."""
    body, cache = InferenceBody(case.model), case.cache()
    passes = [(FIRST, FIRST + 3, 2), *((column, column + 1, 1) for column in range(FIRST + 3, COLUMNS))]
    read = []
    for first, stop, wanted in passes:
        turn = tuple(each[:, first:stop] for each in case.turn)
        read.append(body(case.embedded[:, first:stop], turn, cache.following(stop - first), wanted))
    return torch.cat(read, dim=1)


def compiled_step(case: Case, folder):
    """What is compiled, not compiled: test_compiled.py compares the two."""
    cache, read = case.cache(), []
    for k in range(FIRST, COLUMNS):
        column = torch.tensor([k])
        rotation = tuple(each[:, :, k : k + 1] for each in case.rotation)
        cached = cache.keys, cache.values
        seen = cache.seen_from(column)
        read.append(step(case.model, case.embedded[:, k : k + 1], rotation, cached, column, seen))
    return torch.cat(read, dim=1)


def kernels(case: Case, folder):
    """In a process of its own, since Triton's interpreter is chosen when the kernels are defined."""
    given = (case.model, case.cache(), case.embedded, case.turn, case.start)
    (folder / "case.pickle").write_bytes(pickle.dumps(given))
    command = [sys.executable, "-c", KERNELS, str(folder / "case.pickle"), str(folder / "hidden.pt")]
    environment = os.environ | ({} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"})
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return torch.load(folder / "hidden.pt")


NEEDS_TRITON = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="kernels need Triton")


@pytest.mark.parametrize(
    ("form", "dtype", "tolerance"),
    [
        (inference, torch.float64, 1e-11),
        (inference, torch.float32, 1e-4),
        (compiled_step, torch.float64, 1e-11),
        (compiled_step, torch.float32, 1e-4),
        pytest.param(kernels, torch.float32, 1e-4, marks=NEEDS_TRITON),
    ],
)
def test_every_form_of_the_layers_gives_the_same_hidden_states(vocabulary, tmp_path, form, dtype, tolerance):
    case = Case(vocabulary, dtype)
    with torch.no_grad():
        found = form(case, tmp_path)
    assert found.shape[1] in (COLUMNS - FIRST, COLUMNS - FIRST - 1)
    torch.testing.assert_close(found, case.expected[:, -found.shape[1] :], atol=tolerance, rtol=0)
