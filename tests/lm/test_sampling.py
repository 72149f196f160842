import pytest
import torch

from videolm.lm.sampling import Sampling, draw, guided, uniforms

LOGITS = torch.tensor([[2.0, 0.5, 1.0, -1.0, 0.0]])


def frequencies(sampling, draws=20_000):
    uniform = torch.rand(draws, generator=torch.Generator().manual_seed(0))
    drawn = draw(LOGITS.expand(draws, -1), uniform, sampling)
    return torch.bincount(drawn, minlength=5) / draws


def chi_square(found, expected, draws=20_000):
    kept = expected > 0
    assert not found[~kept].any()
    return (draws * (found[kept] - expected[kept]) ** 2 / expected[kept]).sum()


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        (Sampling(), [0, 1, 2, 3, 4]),
        (Sampling(temperature=0.5), [0, 1, 2, 3, 4]),
        (Sampling(top_k=2), [0, 2]),
        (Sampling(top_k=50), [0, 1, 2, 3, 4]),
        (Sampling(top_p=0.6), [0, 2]),
        (Sampling(top_p=0.1), [0]),
        (Sampling(top_k=3, top_p=0.99, temperature=2.0), [0, 1, 2]),
    ],
)
def test_draws_follow_the_distribution_that_is_asked_for(sampling, kept):
    logits = torch.full((5,), float("-inf"))
    logits[kept] = LOGITS[0, kept] / sampling.temperature
    # 18.5 is the 0.1 % point of chi-square with four degrees of freedom.
    assert chi_square(frequencies(sampling), logits.softmax(0)) < 18.5


def test_top_p_keeps_just_enough():
    """0.56, 0.21, 0.13, 0.08, 0.03: the two most likely reach 0.7, the first alone does not."""
    assert (frequencies(Sampling(top_p=0.7)) > 0).tolist() == [True, False, True, False, False]
    assert (frequencies(Sampling(top_p=1.0)) > 0).all()


def test_temperature_zero_takes_the_most_likely():
    assert draw(LOGITS, torch.tensor([0.999]), Sampling(temperature=0.0)).tolist() == [0]


def test_extreme_numbers_draw_the_first_and_the_last_possible_class():
    logits = torch.tensor([[float("-inf"), 0.0, 0.0, float("-inf")]]).expand(2, -1)
    assert draw(logits, torch.tensor([0.0, 1 - 2**-24]), Sampling()).tolist() == [1, 2]


def test_guidance_leads_away_from_the_unconditional_logits():
    both = torch.tensor([[3.0, 1.0], [1.0, 2.0]])
    torch.testing.assert_close(guided(both, 1.0), both[:1])
    torch.testing.assert_close(guided(both, 0.0), both[1:])
    torch.testing.assert_close(guided(both, 3.0), torch.tensor([[7.0, -1.0]]))


def test_numbers_of_a_row_are_its_generators_alone():
    def generators(*seeds):
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    assert torch.equal(uniforms(generators(4, 5, 6), 10, 2)[1], uniforms(generators(5), 10, 2)[0])


@pytest.mark.parametrize(
    "settings",
    [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}, {"guidance_scale": -1.0}],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Sampling(**settings)
