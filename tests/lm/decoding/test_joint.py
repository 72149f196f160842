"""Temperature, top-k and top-p of whole codes, against the flat distribution of all of them."""

import pytest
import torch

from videolm.lm.decoding.choice import choose
from videolm.lm.decoding.drawing import Noise
from videolm.lm.decoding.sampling import DrawSettings
from videolm.lm.model.heads import Head
from videolm.lm.vocabulary import Block

ROWS = 20_000


def make_head(factors):
    torch.manual_seed(0)
    head = Head(factors, 16).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return head, Block("visual", 100, factors), torch.randn(1, 16, dtype=torch.float64)


def flat_log_probabilities(head, block, hidden):
    """Of every code of the block, by the definition."""
    digits = block.split(torch.arange(block.stop - block.start))
    many = hidden.expand(len(digits[0]), -1)
    per_digit = [head.logits(many, digits[:k]).log_softmax(-1) for k in range(len(digits))]
    return sum(each.gather(1, digit[:, None])[:, 0] for each, digit in zip(per_digit, digits, strict=True))


def codes(head, block, hidden, sampling, rows=ROWS):
    noise = Noise([torch.Generator().manual_seed(1)], [sum(block.factors)] * rows).at(0, rows)[0]
    many = hidden.expand(rows, -1)
    return choose(head, block, many, noise if sampling.temperature else None, sampling) - block.start


@pytest.mark.parametrize("factors", [(4, 8), (3, 2, 4)])
@pytest.mark.parametrize("options", [{"temperature": 0.4}, {"top_k": 5}, {"top_p": 0.7, "temperature": 0.8}])
@torch.no_grad()
def test_codes_follow_the_flat_distribution(factors, options):
    head, block, hidden = make_head(factors)
    scores = flat_log_probabilities(head, block, hidden) / options.get("temperature", 1.0)
    probability = scores.softmax(0)
    order = probability.argsort(descending=True)
    before = probability[order].cumsum(0) - probability[order]
    kept = order[: options.get("top_k")]
    kept = kept[before[: len(kept)] < options.get("top_p", 1.0)]
    expected = torch.zeros_like(probability)
    expected[kept] = probability[kept] / probability[kept].sum()

    drawn = codes(head, block, hidden, DrawSettings(**options, joint=100))
    found = torch.bincount(drawn, minlength=len(expected))
    assert not found[expected == 0].any()
    common = expected * ROWS >= 5
    chi_square = ((found - ROWS * expected) ** 2 / (ROWS * expected))[common].sum()
    # Mean and variance of chi-square: degrees of freedom and twice that.
    assert chi_square < common.sum() + 4 * (2 * common.sum()) ** 0.5


@torch.no_grad()
def test_without_temperature_and_cuts_codes_are_those_of_digits():
    head, block, hidden = make_head((3, 2, 4))
    digitwise, jointly = (codes(head, block, hidden, DrawSettings(joint=joint), 500) for joint in (None, 6))
    assert torch.equal(digitwise, jointly) and len(digitwise.unique()) > 5


@torch.no_grad()
def test_only_the_likeliest_beginnings_take_part():
    head, block, hidden = make_head((4, 8))
    first = int(head.logits(hidden).argmax())
    drawn = codes(head, block, hidden, DrawSettings(joint=1, temperature=3.0), 500)
    assert set(block.split(drawn)[0].tolist()) == {first} and len(drawn.unique()) == 8


@torch.no_grad()
def test_temperature_zero_takes_the_likeliest_code():
    """Of 200 states, also where its first digit is not the likeliest one."""
    head, block, _ = make_head((4, 8))
    states = 0.5 * torch.randn(200, 16, dtype=torch.float64)
    best = torch.stack([flat_log_probabilities(head, block, state[None]).argmax() for state in states])
    jointly, digitwise = (
        choose(head, block, states, None, DrawSettings(temperature=0.0, joint=joint)) - block.start
        for joint in (4, None)
    )
    assert torch.equal(jointly, best) and not torch.equal(digitwise, best)


@torch.no_grad()
def test_guidance_and_penalty_reach_every_beginning():
    head, block, hidden = make_head((4, 8))
    both = torch.cat([hidden.expand(300, -1), hidden.flip(1).expand(300, -1)])
    noise = Noise([torch.Generator().manual_seed(1)], [12] * 300).at(0, 300)[0]
    scale = torch.linspace(0, 3, 300, dtype=torch.float64)[:, None]
    penalty = (torch.full((300,), block.start + 5), 2.0)
    chosen = [
        choose(head, block, both, noise, DrawSettings(guidance_scale=2.0, joint=joint), scale, penalty)
        for joint in (None, 4)
    ]
    assert torch.equal(*chosen)
