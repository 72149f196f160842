import math
from copy import deepcopy

import pytest
import torch
from torch import nn

from videolm.tokenizers.video.adversarial import (
    Adversary,
    LeCam,
    discriminator_loss,
    frozen,
    generator_loss,
    gradient_penalty,
    noise_penalty,
)
from videolm.tokenizers.video.discriminator import Discriminator, DiscriminatorConfig


@pytest.fixture
def discriminator() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(DiscriminatorConfig(channels=4, multipliers=(2, 2)))


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randn(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def gradients(loss: torch.Tensor, module: nn.Module) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(module.parameters()), retain_graph=True))


def test_one_who_cannot_tell_loses_two_log_two():
    zeros = torch.zeros(3)
    torch.testing.assert_close(discriminator_loss(zeros, zeros), torch.tensor(2 * math.log(2)))
    torch.testing.assert_close(generator_loss(zeros), torch.tensor(math.log(2)))


def test_losses_are_those_of_the_probabilities():
    real, fake = torch.tensor([0.3, -2.0, 1.1]), torch.tensor([0.5, -1.5])
    expected = -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()
    torch.testing.assert_close(discriminator_loss(real, fake), expected)
    torch.testing.assert_close(generator_loss(fake), -fake.sigmoid().log().mean())


def test_the_generators_gradient_does_not_vanish_when_its_clips_are_found_out():
    logits = torch.tensor([-50.0], requires_grad=True)
    generator_loss(logits).backward()
    torch.testing.assert_close(logits.grad, torch.tensor([-1.0]))


def test_frozen_discriminator_gives_the_usual_gradient_to_pixels_and_none_to_itself(discriminator, pixels):
    ours, usual = pixels.clone().requires_grad_(), pixels.clone().requires_grad_()
    logits = frozen(discriminator)(ours)
    generator_loss(logits).backward()
    assert all(parameter.grad is None for parameter in discriminator.parameters())
    expected = discriminator(usual)
    generator_loss(expected).backward()
    assert torch.equal(logits, expected) and torch.equal(ours.grad, usual.grad)
    assert all(parameter.grad is not None for parameter in discriminator.parameters())


def test_frozen_discriminator_judges_with_the_newest_weights(discriminator, pixels):
    before = frozen(discriminator)(pixels)
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.mul_(1.5)
    after = frozen(discriminator)(pixels)
    assert not torch.allclose(before, after)
    assert torch.equal(after, discriminator(pixels))


def test_one_backward_pass_gives_both_networks_their_own_gradients(discriminator, pixels):
    generator = nn.Conv3d(3, 3, 1)
    generated = generator(pixels)

    def generators() -> torch.Tensor:
        return generator_loss(frozen(discriminator)(generated))

    def discriminators() -> torch.Tensor:
        penalty = gradient_penalty(discriminator, pixels)
        logits = discriminator(pixels), discriminator(generated.detach())
        return discriminator_loss(*logits) + 10 * penalty

    expected = gradients(generators(), generator), gradients(discriminators(), discriminator)
    (generators() + discriminators()).backward()
    for network, wanted in zip((generator, discriminator), expected, strict=True):
        for parameter, gradient in zip(network.parameters(), wanted, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)


class Linear(nn.Module):
    """A discriminator whose gradient is the same everywhere."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(2)))

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return (clips * self.weight).sum((1, 2, 3, 4))


def test_penalty_of_a_linear_discriminator_is_the_squared_length_of_its_weights(pixels):
    linear = Linear()
    penalty = gradient_penalty(linear, pixels)
    torch.testing.assert_close(penalty, linear.weight.square().sum())
    (gradient,) = torch.autograd.grad(penalty, linear.weight)
    torch.testing.assert_close(gradient, 2 * linear.weight)


def mean_noise_penalty(network: nn.Module, pixels: torch.Tensor, draws: int, noise: float) -> torch.Tensor:
    """Over many draws: a large batch of the same clips."""
    many = pixels.repeat(draws, 1, 1, 1, 1)
    return noise_penalty(network, many, network(many), torch.Generator().manual_seed(3), noise)


def test_noise_has_the_penalty_of_a_linear_discriminator_whatever_its_size(pixels):
    linear = Linear()
    expected = gradient_penalty(linear, pixels)
    for noise in (0.01, 0.1, 1.0):
        penalty = mean_noise_penalty(linear, pixels, 4000, noise)
        torch.testing.assert_close(penalty, expected, rtol=0.06, atol=0)  # its deviation is 1.6 %
        (gradient,) = torch.autograd.grad(penalty, linear.weight)
        angle = torch.cosine_similarity(gradient.flatten(), linear.weight.flatten(), 0)
        assert angle > 0.95 and gradient.norm() == pytest.approx(2 * linear.weight.norm().item(), rel=0.1)


def test_noise_has_the_penalty_of_a_smooth_discriminator_and_its_gradient():
    torch.manual_seed(0)
    pixels = torch.randn(2, 3, 1, 2, 4)
    network = nn.Sequential(nn.Flatten(), nn.Linear(24, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0))
    exact, drawn = gradient_penalty(network, pixels), mean_noise_penalty(network, pixels, 20_000, 0.1)
    torch.testing.assert_close(drawn, exact, rtol=0.03, atol=0)
    gradients_of = [torch.autograd.grad(each, network[1].weight)[0].flatten() for each in (exact, drawn)]
    assert torch.cosine_similarity(*gradients_of, 0) > 0.99
    assert gradients_of[1].norm() == pytest.approx(gradients_of[0].norm().item(), rel=0.05)


def test_noise_follows_from_the_generator_alone(discriminator, pixels):
    logits = discriminator(pixels)
    first, again, other = (
        noise_penalty(discriminator, pixels, logits, torch.Generator().manual_seed(seed))
        for seed in (5, 5, 6)
    )
    assert first == again != other


def test_noise_works_in_bfloat16(discriminator, pixels):
    """Over a hundred draws the penalty is within a tenth of that of the same draws in float32."""
    many = pixels.repeat(50, 1, 1, 1, 1)
    penalties = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = discriminator(many)
            penalties.append(noise_penalty(discriminator, many, logits, torch.Generator().manual_seed(1)))
    assert penalties[1].item() == pytest.approx(penalties[0].item(), rel=0.1)


def test_real_and_fake_clips_have_logits_of_one_precision(discriminator, pixels):
    """Equal clips have equal logits under autocast: nothing but the clips tells the two kinds apart."""
    seen: list[torch.dtype] = []
    discriminator.trunk.register_forward_hook(lambda *parts: seen.append(parts[2].dtype))
    adversary = Adversary(discriminator.config, "noise")
    adversary.discriminator = discriminator
    logits: list[torch.Tensor] = []
    discriminator.register_forward_hook(lambda *parts: logits.append(parts[2].detach()))
    with torch.autocast("cpu", torch.bfloat16):
        adversary(pixels.clone(), pixels, torch.Generator().manual_seed(0))
    real, fake, generated, moved = logits
    assert torch.equal(real, fake) and torch.equal(real, generated) and not torch.equal(real, moved)
    assert seen == [torch.bfloat16] * 4 and real.dtype == torch.float32


def test_a_step_without_a_generator_has_no_penalty_and_the_same_other_losses(discriminator, pixels):
    adversary, other = Adversary(discriminator.config), Adversary(discriminator.config)
    other.load_state_dict(adversary.state_dict())
    generated = pixels.flip(0)
    without, whole = adversary(generated, pixels), other(generated, pixels, torch.Generator())
    assert "gradient_penalty" not in without and whole.pop("gradient_penalty") > 0
    assert without == whole


def test_penalty_is_a_mean_over_clips_of_each_clips_own(discriminator, pixels):
    penalty = gradient_penalty(discriminator, pixels)
    alone = [gradient_penalty(discriminator, clip[None]) for clip in pixels]
    torch.testing.assert_close(penalty, torch.stack(alone).mean())
    assert alone[0] != alone[1] and penalty > 0


def test_penalty_agrees_with_finite_differences_in_its_value_and_its_gradient():
    torch.manual_seed(0)
    pixels = torch.randn(2, 3, 1, 2, 4)
    network = nn.Sequential(nn.Flatten(), nn.Linear(24, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0))
    precise = deepcopy(network).double()
    steps = torch.eye(24).double().view(24, 1, 3, 1, 2, 4) * 1e-4
    slopes = [(precise(pixels + step) - precise(pixels - step)) / 2e-4 for step in steps]
    expected = torch.stack(slopes).square().sum(0).mean()
    penalty = gradient_penalty(network, pixels)
    torch.testing.assert_close(penalty.double(), expected, rtol=1e-4, atol=1e-6)
    (gradient,) = torch.autograd.grad(penalty, network[1].weight)
    (expected_gradient,) = torch.autograd.grad(expected, precise[1].weight)
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-4, atol=1e-6)


def test_penalty_is_float32_under_autocast_and_reaches_no_pixels(discriminator, pixels):
    pixels.requires_grad_()
    expected = gradient_penalty(discriminator, pixels)
    with torch.autocast("cpu", torch.bfloat16):
        penalty = gradient_penalty(discriminator, pixels)
    assert penalty == expected
    penalty.backward()
    assert pixels.grad is None


def test_a_discriminator_learns_to_tell_bright_clips_from_dark_ones(discriminator):
    lecam, generator = LeCam(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-2, betas=(0.0, 0.99))
    for _ in range(30):
        noise = torch.randn(2, 8, 3, 3, 8, 8, generator=generator)
        real, fake = 0.5 * noise[0] + 0.5, 0.5 * noise[1] - 0.5
        real_logits, fake_logits = discriminator(real), discriminator(fake)
        penalty = gradient_penalty(discriminator, real)
        loss = discriminator_loss(real_logits, fake_logits)
        optimizer.zero_grad()
        (loss + 0.1 * penalty + 0.001 * lecam(real_logits, fake_logits)).backward()
        optimizer.step()
    assert loss < math.log(2) and (real_logits > 0).all() and (fake_logits < 0).all()
    assert lecam.averages[0] > lecam.averages[1]


def test_lecam_starts_with_nothing_and_then_uses_the_averages_of_before():
    lecam = LeCam(decay=0.9)
    first_real, first_fake = torch.tensor([1.0, 3.0]), torch.tensor([-2.0, 0.0])
    assert lecam(first_real, first_fake) == 0
    assert lecam.averages.tolist() == [2.0, -1.0]
    real, fake = torch.tensor([0.5, -3.0]), torch.tensor([1.0, 4.0])
    # Real logits above the fakes' average, fake logits below the reals'; the others are not held.
    expected = ((0.5 + 1) ** 2 + 0) / 2 + ((2 - 1.0) ** 2 + 0) / 2
    torch.testing.assert_close(lecam(real, fake), torch.tensor(expected))
    updated = torch.tensor([0.9 * 2 + 0.1 * -1.25, 0.9 * -1 + 0.1 * 2.5])
    torch.testing.assert_close(lecam.averages, updated)


def test_lecam_pulls_both_kinds_of_logits_together():
    lecam = LeCam()
    lecam(torch.tensor([2.0]), torch.tensor([-2.0]))
    real, fake = (torch.tensor([value], requires_grad=True) for value in (2.0, -2.0))
    lecam(real, fake).backward()
    torch.testing.assert_close(real.grad, torch.tensor([8.0]))
    torch.testing.assert_close(fake.grad, torch.tensor([-8.0]))


def test_lecam_measures_but_does_not_learn_in_evaluation_mode():
    lecam = LeCam()
    lecam(torch.ones(1), -torch.ones(1))
    lecam.eval()
    before = lecam.averages.clone()
    assert lecam(torch.full((1,), 5.0), torch.zeros(1)) == 36 + 1
    assert torch.equal(lecam.averages, before)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_lecam_forgets_a_step_with_a_non_finite_logit(value):
    """Also in the first step, which has no averages yet to keep."""
    spoilt, plain = LeCam(decay=0.5), LeCam(decay=0.5)
    bad = torch.tensor([1.0, value])
    spoilt(bad, torch.zeros(2))
    assert not spoilt.has_averages
    for lecam in (spoilt, plain):
        lecam(torch.ones(2), -torch.ones(2))
    spoilt(torch.ones(2), bad)
    logits = torch.tensor([3.0, -1.0]), torch.tensor([0.5, 0.0])
    assert spoilt(*logits) == plain(*logits) and torch.equal(spoilt.averages, plain.averages)


def test_lecam_goes_on_where_a_checkpoint_left_it():
    lecam, resumed = LeCam(), LeCam()
    lecam(torch.ones(2), torch.zeros(2))
    resumed.load_state_dict(lecam.state_dict())
    logits = torch.tensor([3.0, -1.0]), torch.tensor([0.5, 0.0])
    assert lecam(*logits) == resumed(*logits) > 0
    assert torch.equal(lecam.averages, resumed.averages)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_lecam_refuses_a_decay_that_is_no_share(decay):
    with pytest.raises(ValueError, match="decay"):
        LeCam(decay)


def test_lecam_averages_are_those_of_all_processes(in_two_processes):
    def averages(rank: int) -> torch.Tensor:
        lecam = LeCam(decay=0.5)
        for step in (1.0, 3.0):
            lecam(torch.tensor([step + rank]), torch.tensor([-step * rank]))
        return lecam.averages

    first, second = in_two_processes(averages)
    assert torch.equal(first, second)
    torch.testing.assert_close(first, torch.tensor([(1.5 + 3.5) / 2, (-0.5 - 1.5) / 2]))
