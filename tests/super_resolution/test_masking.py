"""How much is hidden, noisy and decoded together."""

import pytest
import torch

from videolm.super_resolution.masking import draw_mask, draw_noise, halton_order, num_masked, with_noise


def test_shares_of_hidden_codes_are_cosines_of_uniform_numbers():
    """Their mean is 2/pi, and half of them lie above cos(pi/4)."""
    generator = torch.Generator().manual_seed(0)
    shares = torch.stack([draw_mask((2, 8, 8), generator).float().mean() for _ in range(2000)])
    assert shares.mean().item() == pytest.approx(2 / torch.pi, abs=0.02)
    assert (shares > 0.5**0.5).float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert shares.min() > 0


@pytest.mark.parametrize(("positions", "steps"), [(8960, 24), (48, 12), (5, 5), (1, 1), (7, 3)])
def test_every_step_decodes_something_and_the_last_the_rest(positions, steps):
    hidden = positions
    for step in range(steps):
        after = num_masked(step, steps, hidden, positions)
        assert after < hidden or after == 0
        hidden = after
    assert hidden == 0


def test_the_published_numbers_of_hidden_codes():
    """floor(N cos(pi/2 (i + 1) / K))."""
    assert [num_masked(step, 4, 100, 100) for step in range(4)] == [92, 70, 38, 0]


def test_noise_replaces_the_share_that_it_says():
    generator = torch.Generator().manual_seed(0)
    codes = torch.full((10_000,), 1023)
    assert torch.equal(with_noise(codes, 0.0, 1024, generator), codes)
    for share in (0.2, 1.0):
        noisy = with_noise(codes, share, 1024, generator)
        assert (noisy != codes).float().mean().item() == pytest.approx(share, abs=0.02)
        assert noisy.min() >= 0 and noisy.max() < 1024


def test_half_of_the_clips_have_no_noise():
    generator = torch.Generator().manual_seed(0)
    levels = torch.tensor([draw_noise(0.4, generator) for _ in range(2000)])
    assert (levels == 0).float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert levels[levels > 0].mean().item() == pytest.approx(0.2, abs=0.02) and levels.max() < 0.4


@pytest.mark.parametrize("grid", [(1, 4, 4), (2, 6, 8), (5, 7, 3)])
def test_halton_turns_are_all_different_and_spread(grid):
    turns = halton_order(grid)
    assert sorted(turns.tolist()) == list(range(turns.numel()))
    if grid == (1, 4, 4):
        early = (turns < 4).nonzero().flatten()  # no two of the first quarter in one column
        assert len({int(each) % 4 for each in early}) == 4
