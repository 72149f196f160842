import pytest
import torch

from videolm.lm.decoding.drawing import Noise, draw, guidance_scales, guided, likeliest
from videolm.lm.decoding.sampling import DrawSettings

LOGITS = torch.tensor([[2.0, 0.5, 1.0, -1.0, 0.0]])


def frequencies(sampling, draws=20_000):
    noise = Noise([torch.Generator().manual_seed(0)], [5] * draws).at(0, draws)[0]
    drawn = draw(LOGITS.expand(draws, -1), noise, sampling)
    return torch.bincount(drawn, minlength=5) / draws


def chi_square(found, expected, draws=20_000):
    kept = expected > 0
    assert not found[~kept].any()
    return (draws * (found[kept] - expected[kept]) ** 2 / expected[kept]).sum()


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        (DrawSettings(), [0, 1, 2, 3, 4]),
        (DrawSettings(temperature=0.5), [0, 1, 2, 3, 4]),
        (DrawSettings(top_k=2), [0, 2]),
        (DrawSettings(top_k=50), [0, 1, 2, 3, 4]),
        (DrawSettings(top_p=0.6), [0, 2]),
        (DrawSettings(top_p=0.1), [0]),
        (DrawSettings(top_k=3, top_p=0.99, temperature=2.0), [0, 1, 2]),
    ],
)
def test_draws_follow_the_distribution_that_is_asked_for(sampling, kept):
    logits = torch.full((5,), float("-inf"))
    logits[kept] = LOGITS[0, kept] / sampling.temperature
    # 18.5 is the 0.1 % point of chi-square with four degrees of freedom.
    assert chi_square(frequencies(sampling), logits.softmax(0)) < 18.5


def test_top_p_keeps_just_enough():
    """0.56, 0.21, 0.13, 0.08, 0.03: the two most likely reach 0.7, the first alone does not."""
    assert (frequencies(DrawSettings(top_p=0.7)) > 0).tolist() == [True, False, True, False, False]
    assert (frequencies(DrawSettings(top_p=1.0)) > 0).all()


def test_temperature_zero_takes_the_most_likely():
    assert draw(LOGITS, None, DrawSettings(temperature=0.0)).tolist() == [0]


def test_impossible_classes_are_never_drawn():
    logits = torch.tensor([[float("-inf"), 0.0, 0.0, float("-inf")]])
    assert draw(logits, torch.tensor([[16.0, -3.0, -2.0, 17.0]]), DrawSettings()).tolist() == [2]


@pytest.mark.parametrize("top_k", [None, 1, 40, 500, 5000])
@pytest.mark.parametrize("top_p", [0.01, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("first", [3, 64, 4096])
def test_the_likeliest_are_those_of_a_full_sort(top_k, top_p, first):
    logits = 2 * torch.randn(3, 3000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    order = logits.argsort(-1, descending=True)[:, : top_k or 3000]
    probability = logits.gather(1, order).softmax(-1)
    kept = (probability.cumsum(-1) - probability) < top_p
    values, classes = likeliest(logits, top_k, top_p, first)
    for row in range(3):
        assert torch.equal(classes[row, values[row] > float("-inf")], order[row, kept[row]])


def test_guidance_leads_away_from_the_unconditional_logits():
    both = torch.tensor([[3.0, 1.0], [1.0, 2.0]])
    torch.testing.assert_close(guided(both, 1.0), both[:1])
    torch.testing.assert_close(guided(both, 0.0), both[1:])
    torch.testing.assert_close(guided(both, 3.0), torch.tensor([[7.0, -1.0]]))


def test_numbers_of_a_row_are_its_generators_alone():
    def generators(*seeds):
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    numbers = [7] * 100 + [30] * 3 + [7] * 5
    together, alone = Noise(generators(4, 5, 6), numbers), Noise(generators(5), numbers)
    wide = torch.cat([together.at(0, 90), together.at(90, 100)], 1)[1]
    narrow = torch.cat([alone.at(first, first + 1) for first in range(100)], 1)[0]
    assert torch.equal(wide, narrow)
    assert torch.equal(together.at(102, 103)[1], alone.at(102, 103)[0])
    assert torch.equal(together.at(103, 108)[1], alone.at(103, 108)[0])


def test_noise_is_gumbels():
    noise = Noise([torch.Generator().manual_seed(0)], [100] * 1000).at(0, 1000).double()
    assert abs(noise.mean() - 0.5772) < 0.02 and abs(noise.var() - torch.pi**2 / 6) < 0.03


def test_the_scale_of_guidance_rises_from_one_as_scheduled():
    constant, linear, cosine = (
        guidance_scales(DrawSettings(guidance_scale=3.0, guidance_schedule=name), 101)
        for name in ("constant", "linear", "cosine")
    )
    assert (constant == 3).all()
    for rising in (linear, cosine):
        assert rising[0] == 1 and abs(rising[-1] - 3) < 1e-6 and (rising.diff() > 0).all()
    assert abs(linear[50] - 2) < 1e-6 and cosine[50] < 2


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1.0},
        {"top_k": 0},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"guidance_scale": -1.0},
        {"guidance_schedule": "steep"},
        {"joint": 0},
        {"decoding": "magic"},
        {"window": 0},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        DrawSettings(**settings)
