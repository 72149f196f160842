import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from videolm.lm.batch import Batch
from videolm.lm.model import prefix_attention as module
from videolm.lm.model.prefix_attention import (
    LONG_ROW,
    FlexAttention,
    MaskedAttention,
    mask_is_faster,
    prefix_attention,
    prefix_mask,
)
from videolm.lm.model.split_attention import SplitAttention

FORMS = [MaskedAttention, SplitAttention]
HEADS, HEAD_DIM = 4, 8


@pytest.fixture(params=[3, 128])
def queries_at_once(request, monkeypatch):
    monkeypatch.setattr(module, "QUERIES_AT_ONCE", request.param)


def slow_prefix_attention(queries, keys, values, prefix):
    """One query of one example at a time, straight from the definition."""
    read = torch.zeros_like(queries)
    shared = queries.shape[1] // keys.shape[1]
    for head in range(queries.shape[1]):
        for i in range(queries.shape[2]):
            last = max(i + 1, prefix) if i < prefix else i + 1
            scores = keys[0, head // shared, :last] @ queries[0, head, i] / math.sqrt(queries.shape[3])
            read[0, head, i] = scores.softmax(0) @ values[0, head // shared, :last]
    return read


def random_qkv(rows, length, kv_heads=2, dtype=torch.float64, head_dim=HEAD_DIM):
    """Queries, keys, values and an upstream gradient."""
    generator = torch.Generator().manual_seed(length)
    return [
        torch.randn(rows, heads, length, head_dim, generator=generator, dtype=dtype)
        for heads in (HEADS, kv_heads, kv_heads, HEADS)
    ]


def rows_of(positions, prefixes, row=None, start=None, length=None):
    """A batch whose examples are of these sizes; one a row, filling it, unless said otherwise."""
    examples = len(prefixes)
    rows = examples if row is None else max(row) + 1
    zeros = torch.zeros(rows, positions, dtype=torch.long)
    return Batch(
        ids=zeros,
        block=zeros,
        segment=zeros,
        coordinates=torch.zeros(rows, positions, 3),
        forced=zeros.bool(),
        weight=zeros.float(),
        row=torch.arange(examples) if row is None else torch.tensor(row),
        start=torch.zeros(examples, dtype=torch.long) if start is None else torch.tensor(start),
        prefix_length=torch.tensor(prefixes),
        length=torch.full((examples,), positions) if length is None else torch.tensor(length),
        tasks=("task",) * examples,
    )


PACKED = partial(rows_of, 9, (2, 0, 4, 1, 9), (0, 0, 1, 1, 2), (0, 5, 0, 4, 0), (5, 4, 4, 3, 9))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("prefixes", [(0, 1, 4), (9, 9, 9), (7, 2, 5), (2, 2, 2), (5, 5, 1)])
def test_prefix_attention_is_its_definition(queries_at_once, form, prefixes):
    *qkv, _ = random_qkv(3, 9)
    read = form(rows_of(9, prefixes))(0, *qkv)
    for row, prefix in enumerate(prefixes):
        expected = slow_prefix_attention(*(part[row : row + 1] for part in qkv), prefix)
        torch.testing.assert_close(read[row : row + 1], expected)


@pytest.mark.parametrize("form", FORMS)
def test_packed_examples_do_not_see_each_other(queries_at_once, form):
    *qkv, _ = random_qkv(3, 9)
    packed = PACKED()
    read = form(packed)(0, *qkv)
    columns = (packed.row, packed.start, packed.prefix_length, packed.length)
    for row, start, prefix, length in zip(*(column.tolist() for column in columns), strict=True):
        own = [part[row : row + 1, :, start : start + length] for part in qkv]
        expected = slow_prefix_attention(*own, prefix)
        torch.testing.assert_close(read[row : row + 1, :, start : start + length], expected)
    assert read.isfinite().all()


def under_a_mask(batch, queries, keys, values, upstream):
    """What PyTorch reads under the explicit mask, and its gradients; padding asks for nothing."""
    parts = [part.clone().requires_grad_() for part in (queries, keys, values)]
    read = F.scaled_dot_product_attention(*parts, attn_mask=prefix_mask(batch), enable_gqa=True)
    return read, torch.autograd.grad(read, parts, upstream)


EVERY_PREFIX = rows_of(37, tuple(range(38)))
TWO_IN_A_ROW = rows_of(70, (9, 40, 8), row=(0, 1, 1), start=(0, 0, 50), length=(70, 50, 20))


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("batch", [EVERY_PREFIX, TWO_IN_A_ROW], ids=["every-prefix", "packed"])
@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_under_an_explicit_mask(queries_at_once, form, batch, kv_heads):
    *qkv, upstream = random_qkv(len(batch), batch.ids.shape[1], kv_heads)
    expected, gradients = under_a_mask(batch, *qkv, upstream)
    parts = [part.requires_grad_() for part in qkv]
    read = form(batch)(0, *parts)
    torch.testing.assert_close(read, expected)
    for ours, exact in zip(torch.autograd.grad(read, parts, upstream), gradients, strict=True):
        torch.testing.assert_close(ours, exact)


@pytest.mark.parametrize("form", FORMS)
def test_bfloat16_attention_and_its_gradients_are_those_of_float32(queries_at_once, form):
    *qkv, upstream = random_qkv(3, 9, dtype=torch.bfloat16)
    narrow = [part.requires_grad_() for part in qkv]
    batch = rows_of(9, (0, 3, 9))
    expected, gradients = under_a_mask(batch, *(part.detach().float() for part in qkv), upstream.float())
    read = form(batch)(0, *narrow)
    assert read.dtype == torch.bfloat16
    torch.testing.assert_close(read.float(), expected, atol=0.03, rtol=0.03)
    for ours, exact in zip(torch.autograd.grad(read, narrow, upstream), gradients, strict=True):
        torch.testing.assert_close(ours.float(), exact, atol=0.06, rtol=0.06)


def test_long_examples_are_split_and_short_ones_masked(monkeypatch):
    monkeypatch.setattr(module, "LONG_EXAMPLE", 9)
    assert isinstance(prefix_attention(rows_of(9, (0, 3)), HEAD_DIM), SplitAttention)
    assert isinstance(prefix_attention(rows_of(8, (0, 3)), HEAD_DIM), MaskedAttention)
    assert isinstance(prefix_attention(PACKED(), HEAD_DIM), MaskedAttention)


def test_on_a_gpu_a_mask_is_for_what_it_was_measured_with():
    assert mask_is_faster(LONG_ROW, 64, (9, 0)) and not mask_is_faster(LONG_ROW + 1, 64, (9, 0))
    assert not mask_is_faster(300, 128, (9, 0)) and not mask_is_faster(300, 64, (8, 0))


def test_split_attention_holds_no_square_of_scores(monkeypatch):
    """Nothing of length x length is kept for the backward pass."""
    *qkv, _ = random_qkv(1, 64)
    sizes = []

    def keep(saved):
        sizes.append(saved.numel())
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        SplitAttention(rows_of(64, (20,)))(0, *(part.requires_grad_() for part in qkv))
    assert max(sizes) == qkv[0].numel() < 64 * 64


@pytest.mark.parametrize("batch", [rows_of(37, (0, 5, 37)), PACKED()], ids=["rows", "packed"])
def test_flex_attention_sees_what_the_mask_shows(batch):
    *qkv, _ = random_qkv(3, batch.ids.shape[1], dtype=torch.float32)
    read = FlexAttention(batch)(0, *qkv)
    expected = F.scaled_dot_product_attention(*qkv, attn_mask=prefix_mask(batch), enable_gqa=True)
    torch.testing.assert_close(read, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("batch", [EVERY_PREFIX, TWO_IN_A_ROW], ids=["every-prefix", "packed"])
def test_flex_attention_on_a_gpu_has_the_gradients_under_an_explicit_mask(batch):
    batch = batch.to("cuda")
    made = random_qkv(len(batch), batch.ids.shape[1], dtype=torch.float32, head_dim=32)
    *qkv, upstream = (part.cuda() for part in made)
    expected, gradients = under_a_mask(batch, *qkv, upstream)
    parts = [part.requires_grad_() for part in qkv]
    read = FlexAttention(batch)(0, *parts)
    torch.testing.assert_close(read, expected, atol=2e-3, rtol=2e-3)
    for ours, exact in zip(torch.autograd.grad(read, parts, upstream), gradients, strict=True):
        torch.testing.assert_close(ours, exact, atol=5e-3, rtol=5e-3)
