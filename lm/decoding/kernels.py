"""Triton kernels (CUDA) for one position of a few rows: six a layer.

With one or two rows a matrix product reads the matrix once and computes hardly anything, and the operations
between two products cost more to launch than to run. So a norm is part of the product that follows it, SwiGLU
and the residual are part of the product before them, and attention is divided among programs that read 64
columns each:

    project (norm; queries, keys, values) -> attend (norm, turn, cache; 64 columns) -> merge
    -> project (add) -> project (norm; gate and value, SwiGLU) -> project (add)

`PrefixLM.body` is the same function, written to be read, and `InferenceBody` the one for many positions; a
change to `Layer`, `Attention` or `RMSNorm` has to be made here too. Every sum is made in float32.

From Hopper on a kernel is launched while the one before it still runs, and loads its weights meanwhile (CUDA
C++ programming guide, "programmatic dependent launch"). Only weights may be read before `_wait`. On an
H200 that is faster with the 300m body, not with 1b (benchmarks/results/gpu.md).
"""

from functools import cache
from typing import Any, no_type_check

import torch
import triton  # pyright: ignore[reportMissingImports]  # only PyTorch's CUDA builds bring it
import triton.language as tl  # pyright: ignore[reportMissingImports]
from jaxtyping import Float, Int
from torch import Tensor, nn
from triton.language.extra.cuda import (  # pyright: ignore[reportMissingImports]
    gdc_launch_dependents,
    gdc_wait,
)

from ..model.rms_norm import RMSNorm
from ..model.transformer import PrefixLM
from .cache import KVCache
from .inference import Turn

ROWS = 8
"""With more rows the libraries' products of matrices are faster."""

_COLUMNS = 64  # that a program of `_attend` reads
_LEAST_HEAD, _LEAST_QUERIES = 16, 16  # of the tensor cores' products


def can_run(model: PrefixLM, rows: int) -> bool:
    """Whether the kernels support the types and sizes of these weights, and this number of rows."""
    head_dim, dtype = model.config.head_dim, model.norm.weight.dtype
    products = (each for each in model.layers.modules() if hasattr(each, "weight"))
    return (
        rows <= ROWS
        and dtype in (torch.bfloat16, torch.float16, torch.float32)
        and head_dim >= _LEAST_HEAD
        and head_dim == triton.next_power_of_2(head_dim)
        and all(isinstance(each, (nn.Linear, RMSNorm)) for each in products)
    )


class KernelBody:
    """The layers of a model for one column at a time, whose number is a tensor.

    Args:
        cache: whose keys and values it reads and extends.
        turn: the rotations of all columns (`InferenceBody.turn`), of which the cache may lack the last.
        start: first column of every row.
    """

    def __init__(self, model: PrefixLM, cache: KVCache, turn: Turn, start: Int[Tensor, " rows"]):
        self.cache, self.start = cache, start
        self.layers, self.norm = model.layer_list(), model.norm
        self.cosine, self.signed_sine = (each[:, : cache.columns].float().contiguous() for each in turn)
        rows, config = len(start), model.config
        parts = -(-cache.columns // _COLUMNS)
        new = self.cosine.new_empty
        # Of every part of the columns: the highest score, the sum of the weights, and attention's output.
        self.parts = (
            new(rows, config.heads, parts),
            new(rows, config.heads, parts),
            new(rows, config.heads, parts, config.head_dim),
        )

    def __call__(
        self, embedded: Float[Tensor, "rows 1 dim"], column: Int[Tensor, " 1"]
    ) -> Float[Tensor, "rows 1 dim"]:
        """The hidden state of the column, whose keys and values are put into the cache."""
        assert embedded.is_contiguous()  # the kernels step from row to row by the width
        hidden = embedded.squeeze(1)
        for index, layer in enumerate(self.layers):
            projected = project(hidden, layer.attention.project_in.weight, norm=layer.attention_norm.weight)
            read = self._attend(index, projected, column)
            hidden = project(read, layer.attention.project_out.weight, residual=hidden)
            inner = project(hidden, layer.project_in.weight, norm=layer.feed_forward_norm.weight, gated=True)
            hidden = project(inner, layer.project_out.weight, residual=hidden)
        return self.norm(hidden)[:, None]

    def _attend(self, index: int, projected: Tensor, column: Tensor) -> Float[Tensor, "rows dim"]:
        attention, keys = self.layers[index].attention, self.cache.keys[index]
        rows, kv_heads, columns, head_dim = keys.shape
        parts, heads = self.parts[0].shape[2], self.parts[0].shape[1]
        _attend[rows, kv_heads, parts](  # pyright: ignore[reportIndexIssue]
            projected,
            attention.query_norm.weight,
            attention.key_norm.weight,
            self.cosine,
            self.signed_sine,
            keys,
            self.cache.values[index],
            column,
            self.start,
            *self.parts,
            columns,
            parts,
            HEADS=heads,
            KV_HEADS=kv_heads,
            HEAD_DIM=head_dim,
            SHARED=max(_LEAST_QUERIES, triton.next_power_of_2(heads // kv_heads)),
            COLUMNS=_COLUMNS,
            EPS=RMSNorm.eps,
            num_warps=4,
            **early(keys.device),
        )
        read = projected.new_empty(rows, heads * head_dim)
        _merge[rows, heads](  # pyright: ignore[reportIndexIssue]
            *self.parts,
            column,
            read,
            parts,
            HEADS=heads,
            HEAD_DIM=head_dim,
            PARTS=triton.next_power_of_2(parts),
            COLUMNS=_COLUMNS,
            num_warps=4,
            **early(keys.device),
        )
        return read


def project(
    features: Float[Tensor, "rows width"],
    matrix: Float[Tensor, "classes width"],
    norm: Float[Tensor, " width"] | None = None,
    gated: bool = False,
    residual: Float[Tensor, "rows out"] | None = None,
) -> Float[Tensor, "rows out"]:
    """residual + f(norm(features) @ matrix.T), for a few rows.

    Args:
        norm: the weight of a root-mean-square norm.
        gated: f is SwiGLU: the first half of the classes is the gate of the second.
    """
    rows, width = features.shape
    count = matrix.shape[0] // 2 if gated else matrix.shape[0]
    block = triton.next_power_of_2(width)
    warps = 4 if block <= 2048 else 8
    some = max(1, min(4, warps * 2048 // block // (2 if gated else 1)))
    out = features.new_empty(rows, count)
    _project[(-(-count // some),)](  # pyright: ignore[reportIndexIssue]
        features,
        matrix,
        features if norm is None else norm,
        features if residual is None else residual,
        out,
        WIDTH=width,
        COUNT=count,
        ROWS=rows,
        NORM=norm is not None,
        GATED=gated,
        ADD=residual is not None,
        EPS=RMSNorm.eps,
        SOME=some,
        BLOCK=block,
        num_warps=warps,
        **early(features.device),
    )
    return out


@cache
def early(device: torch.device) -> dict[str, Any]:
    """Options of a launch: whether a kernel may start before the previous one has ended."""
    is_hopper = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (9, 0)
    return {"EARLY": True, "launch_pdl": True} if is_hopper else {"EARLY": False}


@triton.jit
@no_type_check
def _wait(EARLY: tl.constexpr):
    """Wait for the kernels launched before, and let the next one start."""
    if EARLY:
        gdc_wait()
        gdc_launch_dependents()


@triton.jit
@no_type_check
def _project(
    features, matrix, norm, residual, out,
    WIDTH: tl.constexpr, COUNT: tl.constexpr, ROWS: tl.constexpr, NORM: tl.constexpr, GATED: tl.constexpr,
    ADD: tl.constexpr, EPS: tl.constexpr, SOME: tl.constexpr, BLOCK: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """Some classes of all rows; their weights are loaded once, all at the same time."""
    place = tl.arange(0, BLOCK)
    classes = tl.program_id(0) * SOME + tl.arange(0, SOME)
    inside, exists = place < WIDTH, classes < COUNT
    held = inside[None, :] & exists[:, None]
    at = classes[:, None] * WIDTH + place[None, :]
    first = tl.load(matrix + at, mask=held, other=0.0)
    if GATED:
        second = tl.load(matrix + COUNT * WIDTH + at, mask=held, other=0.0)
    if NORM:
        scale = tl.load(norm + place, mask=inside, other=0.0).to(tl.float32)
    _wait(EARLY)
    for row in tl.static_range(ROWS):
        given = tl.load(features + row * WIDTH + place, mask=inside, other=0.0).to(tl.float32)
        factor = 1.0
        if NORM:
            factor = tl.rsqrt(tl.sum(given * given) / WIDTH + EPS)
            given = given * scale
        made = tl.sum(first.to(tl.float32) * given[None, :], axis=1) * factor
        if GATED:
            made = made * tl.sigmoid(made)
            made = made * (tl.sum(second.to(tl.float32) * given[None, :], axis=1) * factor)
        if ADD:
            made += tl.load(residual + row * COUNT + classes, mask=exists, other=0.0).to(tl.float32)
        tl.store(out + row * COUNT + classes, made.to(out.dtype.element_ty), mask=exists)


@triton.jit
@no_type_check
def _turned(vector, partner, norm, norm_partner, cosine, sine, HEAD_DIM: tl.constexpr, EPS: tl.constexpr):
    """Heads (heads, features) normed and turned; the partner of a feature stands half a head away."""
    factor = tl.rsqrt(tl.sum(vector * vector, axis=1) / HEAD_DIM + EPS)[:, None]
    straight, across = (norm * cosine)[None, :], (norm_partner * sine)[None, :]
    return factor * (vector * straight + partner * across)


@triton.jit
@no_type_check
def _attend(
    projected, query_norm, key_norm, cosine, sine, keys, values, column, start, best, total, read,
    columns, parts,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, SHARED: tl.constexpr,
    COLUMNS: tl.constexpr, EPS: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """The query heads of one head of keys and values, on the columns of one part."""
    row, head, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    _wait(EARLY)
    now = tl.load(column)
    if part * COLUMNS <= now:
        shared: tl.constexpr = HEADS // KV_HEADS
        place = tl.arange(0, HEAD_DIM)
        partner = (place + HEAD_DIM // 2) % HEAD_DIM
        angle = (row * columns + now) * HEAD_DIM + place
        cosines, sines = tl.load(cosine + angle), tl.load(sine + angle)
        given = projected + row * (HEADS + 2 * KV_HEADS) * HEAD_DIM
        queries = head * shared + tl.arange(0, SHARED)
        exists = tl.arange(0, SHARED) < shared
        query = given + queries[:, None] * HEAD_DIM
        asked = _turned(
            tl.load(query + place[None, :], mask=exists[:, None], other=0.0).to(tl.float32),
            tl.load(query + partner[None, :], mask=exists[:, None], other=0.0).to(tl.float32),
            tl.load(query_norm + place).to(tl.float32),
            tl.load(query_norm + partner).to(tl.float32),
            cosines, sines, HEAD_DIM, EPS,
        )  # fmt: skip
        own = given + (HEADS + head) * HEAD_DIM
        own_key = _turned(
            tl.load(own + place).to(tl.float32)[None, :],
            tl.load(own + partner).to(tl.float32)[None, :],
            tl.load(key_norm + place).to(tl.float32),
            tl.load(key_norm + partner).to(tl.float32),
            cosines, sines, HEAD_DIM, EPS,
        ).to(keys.dtype.element_ty)  # fmt: skip
        own_value = tl.load(own + KV_HEADS * HEAD_DIM + place)[None, :]
        held = part * COLUMNS + tl.arange(0, COLUMNS)
        cached = (row * KV_HEADS + head).to(tl.int64) * columns * HEAD_DIM
        at = cached + held[:, None] * HEAD_DIM + place[None, :]
        is_now, before = (held == now)[:, None], (held < now)[:, None]
        some_keys = tl.where(is_now, own_key, tl.load(keys + at, mask=before, other=0.0))
        some_values = tl.where(is_now, own_value, tl.load(values + at, mask=before, other=0.0))
        tl.store(keys + at, some_keys, mask=is_now & (held < columns)[:, None])
        tl.store(values + at, some_values, mask=is_now & (held < columns)[:, None])
        # float32 stays float32: the tensor cores would round it to 10 bits.
        scores = tl.dot(asked.to(keys.dtype.element_ty), tl.trans(some_keys), input_precision="ieee")
        seen = (held >= tl.load(start + row)) & (held <= now)
        scores = tl.where(seen[None, :], scores * (HEAD_DIM**-0.5), float("-inf"))
        highest = tl.max(scores, axis=1)
        weights = tl.exp(scores - tl.where(highest == float("-inf"), 0.0, highest)[:, None])
        found = tl.dot(weights.to(values.dtype.element_ty), some_values, input_precision="ieee")
        target = (row * HEADS + queries) * parts + part
        tl.store(best + target, highest, mask=exists)
        tl.store(total + target, tl.sum(weights, axis=1), mask=exists)
        tl.store(read + target[:, None] * HEAD_DIM + place[None, :], found, mask=exists[:, None])


@triton.jit
@no_type_check
def _merge(
    best, total, read, column, out, parts,
    HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, PARTS: tl.constexpr, COLUMNS: tl.constexpr,
    EARLY: tl.constexpr,
):  # fmt: skip
    """What all parts of the columns read together, for one head of a row."""
    one = tl.program_id(0) * HEADS + tl.program_id(1)
    _wait(EARLY)
    part, place = tl.arange(0, PARTS), tl.arange(0, HEAD_DIM)
    filled = part <= tl.load(column) // COLUMNS
    highest = tl.load(best + one * parts + part, mask=filled, other=float("-inf"))
    share = tl.exp(highest - tl.max(highest, axis=0))
    weight = tl.sum(share * tl.load(total + one * parts + part, mask=filled, other=0.0), axis=0)
    at = (one * parts + part)[:, None] * HEAD_DIM + place[None, :]
    found = tl.sum(share[:, None] * tl.load(read + at, mask=filled[:, None], other=0.0), axis=0)
    tl.store(out + one * HEAD_DIM + place, (found / weight).to(out.dtype.element_ty))
