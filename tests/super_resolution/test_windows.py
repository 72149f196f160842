"""Windows are an inverse pair, and attention in them is full attention under a mask."""

from math import prod

import pytest
import torch
import torch.nn.functional as F

from videolm.super_resolution.transformer import grid_coordinates
from videolm.super_resolution.windows import WindowAttention, Windows

GRIDS = [(1, 4, 6), (2, 6, 8), (3, 7, 5), (5, 8, 8)]
SHAPES = [(1, 56, 4), (1, 2, 32), (5, 4, 4), (2, 3, 4), (9, 9, 9)]


def window_of(windows: Windows) -> torch.Tensor:
    """The number of the window of each position, worked out position by position."""
    t, h, w = windows.window
    _, nh, nw = windows.counts
    numbers = [
        (int(a) // t * nh + int(b) // h) * nw + int(c) // w for a, b, c in grid_coordinates(windows.grid)
    ]
    return torch.tensor(numbers)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_merge_undoes_partition_and_the_mask_counts_every_position_once(grid, shape):
    windows = Windows.of(grid, shape)
    features = torch.randn(2, 3, prod(grid), 4)
    parts = windows.partition(features)
    assert parts.shape == (2 * windows.count, 3, windows.length, 4)
    assert torch.equal(windows.merge(parts), features)
    mask = windows.mask()
    real = windows.count * windows.length if mask is None else int(mask.sum())
    assert real == prod(grid)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_attention_in_windows_is_masked_full_attention_and_has_its_gradients(grid, shape):
    windows = Windows.of(grid, shape)
    owner = window_of(windows)
    visible = owner[:, None] == owner
    parts = [torch.randn(2, 3, prod(grid), 8, requires_grad=True) for _ in range(3)]
    upstream = torch.randn(2, 3, prod(grid), 8)
    ours = WindowAttention(windows, windows)(0, *parts)
    plain = F.scaled_dot_product_attention(*parts, attn_mask=visible)
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-5)
    for own, other in zip(
        torch.autograd.grad(ours, parts, upstream), torch.autograd.grad(plain, parts, upstream), strict=True
    ):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("low", "shape"), [((2, 3, 4), (1, 6, 2)), ((1, 3, 5), (1, 4, 4)), ((5, 4, 4), (5, 8, 8))]
)
def test_each_window_sees_the_low_resolution_codes_below_it(low, shape):
    """By the coordinates: a low-resolution code is seen from the windows over the codes that it covers."""
    grid = (low[0], 2 * low[1], 2 * low[2])
    queries = Windows.of(grid, shape)
    t, h, w = queries.window
    keys = Windows(low, (t, h // 2, w // 2))
    places = grid_coordinates(low, scale=2)
    numbers = [
        (int(a) // t * queries.counts[1] + int(b) // h) * queries.counts[2] + int(c) // w for a, b, c in
        places
    ]
    visible = window_of(queries)[:, None] == torch.tensor(numbers)
    q = torch.randn(2, 3, prod(grid), 8)
    k, v = torch.randn(2, 2, 3, prod(low), 8)
    plain = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
    torch.testing.assert_close(WindowAttention(queries, keys)(0, q, k, v), plain, rtol=0, atol=1e-5)


def test_windows_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="expected as many"):
        WindowAttention(Windows.of((1, 4, 4), (1, 2, 2)), Windows.of((1, 2, 2), (1, 2, 2)))
