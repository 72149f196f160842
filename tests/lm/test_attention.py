import math

import pytest
import torch

from videolm.lm.attention import Attention, PrefixAttention, RMSNorm, masked_attention, rotary_angles, rotate
from videolm.lm.batch import Batch

AXES = (4, 2, 2)
WAVES = ((0.5, 512.0), (4.0, 256.0), (4.0, 256.0))


def slow_prefix_attention(queries, keys, values, prefix_length):
    """One query at a time, straight from the definition."""
    batch, heads, length, dim = queries.shape
    shared = heads // keys.shape[1]
    read = torch.zeros_like(queries)
    for row in range(batch):
        prefix = int(prefix_length[row])
        for head in range(heads):
            for i in range(length):
                last = max(i + 1, prefix) if i < prefix else i + 1
                scores = keys[row, head // shared, :last] @ queries[row, head, i] / math.sqrt(dim)
                read[row, head, i] = scores.softmax(0) @ values[row, head // shared, :last]
    return read


def random_qkv(length, kv_heads=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(length)
    return tuple(
        torch.randn(3, heads, length, 8, generator=generator, dtype=dtype)
        for heads in (4, kv_heads, kv_heads)
    )


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


@pytest.mark.parametrize("queries_at_once", [3, 5, 128])
@pytest.mark.parametrize("prefixes", [(0, 1, 4), (9, 9, 9), (7, 2, 5)])
def test_prefix_attention_is_its_definition(monkeypatch, queries_at_once, prefixes):
    monkeypatch.setattr("videolm.lm.attention.QUERIES_AT_ONCE", queries_at_once)
    queries, keys, values = random_qkv(9)
    read = PrefixAttention(rows_of(9, prefixes))(0, queries, keys, values)
    torch.testing.assert_close(read, slow_prefix_attention(queries, keys, values, prefixes))


@pytest.mark.parametrize("queries_at_once", [3, 128])
def test_packed_examples_do_not_see_each_other(monkeypatch, queries_at_once):
    monkeypatch.setattr("videolm.lm.attention.QUERIES_AT_ONCE", queries_at_once)
    queries, keys, values = random_qkv(9)
    packed = rows_of(9, (2, 0, 4, 1, 9), row=(0, 0, 1, 1, 2), start=(0, 5, 0, 4, 0), length=(5, 4, 4, 3, 9))
    read = PrefixAttention(packed)(0, queries, keys, values)
    for row, start, prefix, length in zip(
        packed.row, packed.start, packed.prefix_length, packed.length, strict=True
    ):
        own = [part[row : row + 1, :, start : start + length] for part in (queries, keys, values)]
        expected = slow_prefix_attention(*own, (int(prefix),))
        torch.testing.assert_close(read[row : row + 1, :, start : start + length], expected)
    assert read.isfinite().all()


@pytest.mark.parametrize("queries_at_once", [4, 128])
def test_bfloat16_attention_and_its_gradients_are_those_of_float32(monkeypatch, queries_at_once):
    monkeypatch.setattr("videolm.lm.attention.QUERIES_AT_ONCE", queries_at_once)
    narrow = [part.to(torch.bfloat16).requires_grad_() for part in random_qkv(9, dtype=torch.float32)]
    wide = [part.detach().float().requires_grad_() for part in narrow]
    attend = PrefixAttention(rows_of(9, (0, 3, 9)))
    upstream = torch.randn(3, 4, 9, 8, generator=torch.Generator().manual_seed(1))
    read = attend(0, *narrow)
    read.backward(upstream.to(torch.bfloat16))
    expected = attend(0, *wide)
    expected.backward(upstream)
    torch.testing.assert_close(read.float(), expected, atol=0.03, rtol=0.03)
    for part, exact in zip(narrow, wide, strict=True):
        torch.testing.assert_close(part.grad.float(), exact.grad, atol=0.06, rtol=0.06)


def test_without_a_mask_everything_is_seen():
    queries, keys, values = random_qkv(5)
    everything = torch.ones(1, 1, 5, 5, dtype=torch.bool)
    torch.testing.assert_close(
        masked_attention(queries, keys, values, None), masked_attention(queries, keys, values, everything)
    )


def test_scores_depend_on_differences_of_coordinates_only():
    generator = torch.Generator().manual_seed(0)
    queries, keys = (torch.randn(1, 2, 6, 8, generator=generator) for _ in range(2))
    coordinates = torch.rand(1, 6, 3, generator=generator) * 8

    def scores(shift):
        angles = rotary_angles(coordinates + torch.tensor(shift), AXES, WAVES)[:, None]
        rotation = (angles.cos(), angles.sin())
        return rotate(queries, rotation) @ rotate(keys, rotation).transpose(2, 3)

    torch.testing.assert_close(scores([3.0, 5.0, 7.0]), scores([0.0, 0.0, 0.0]), atol=1e-4, rtol=1e-4)
    assert (scores([0.0, 0.0, 0.0]) - queries @ keys.transpose(2, 3)).abs().max() > 0.1


@pytest.mark.parametrize("axis", range(3))
def test_each_axis_turns_its_own_share_of_the_features(axis):
    coordinates = torch.zeros(1, 1, 3)
    coordinates[..., axis] = 1
    turned = rotary_angles(coordinates, AXES, WAVES)[0, 0] != 0
    expected = torch.tensor([0, 0, 1, 2]) == axis
    assert torch.equal(turned, expected)


def test_wavelengths_run_from_shortest_to_longest():
    angles = rotary_angles(torch.ones(1, 1, 3), (8, 12, 12), WAVES)[0, 0]
    assert angles[0].item() == pytest.approx(2 * math.pi / 0.5) and angles[3].item() == pytest.approx(
        2 * math.pi / 512
    )
    assert angles[4].item() == pytest.approx(2 * math.pi / 4) and angles[9].item() == pytest.approx(
        2 * math.pi / 256
    )


def test_norm_gives_unit_root_mean_square_and_keeps_the_type():
    features = torch.randn(5, 16, generator=torch.Generator().manual_seed(0)) * 100
    normed = RMSNorm(16)(features)
    torch.testing.assert_close(normed.square().mean(-1), torch.ones(5))
    assert RMSNorm(16)(features.to(torch.bfloat16)).dtype == torch.bfloat16


def test_scale_of_the_input_does_not_change_what_is_attended_to():
    torch.manual_seed(0)
    attention = Attention(layer=5, dim=32, heads=4, kv_heads=2)
    rotation = tuple(torch.ones(1, 1, 6, 4) * value for value in (1.0, 0.0))
    seen = []

    def attend(layer, queries, keys, values):
        assert layer == 5
        seen.append((queries, keys))
        return queries

    hidden = torch.randn(1, 6, 32)
    attention(hidden, rotation, attend)
    attention(hidden * 1000, rotation, attend)
    torch.testing.assert_close(seen[0], seen[1], atol=1e-4, rtol=1e-4)
