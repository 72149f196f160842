import pytest
import torch

from videolm.tokenizers.audio.discriminator import (
    AudioAdversary,
    AudioDiscriminatorConfig,
    Balancer,
    StftDiscriminator,
)


@pytest.fixture
def adversary() -> AudioAdversary:
    torch.manual_seed(0)
    return AudioAdversary(AudioDiscriminatorConfig(windows=(256, 64), channels=4))


@pytest.fixture
def sounds() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    decoded, real = 0.1 * torch.randn(2, 2, 1, 3200, generator=generator)
    return decoded.requires_grad_(), real


def test_a_discriminator_halves_frequencies_three_times_and_keeps_time():
    features = StftDiscriminator(256, 4)(torch.randn(2, 1, 3200))
    times = 3200 // 64 + 1
    assert [tuple(each.shape[1:]) for each in features] == [
        (4, times, 129),
        (4, times, 65),
        (4, times, 33),
        (4, times, 17),
        (4, times, 17),
        (1, times, 17),
    ]


def test_generator_losses_reach_the_sound_and_no_discriminator(adversary, sounds):
    decoded, real = sounds
    sum(adversary.generator_losses(decoded, real).values()).backward()
    assert decoded.grad is not None and decoded.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in adversary.parameters())


def test_discriminator_loss_reaches_the_discriminators_and_not_the_sound(adversary, sounds):
    decoded, real = sounds
    adversary.discriminator_loss(decoded, real).backward()
    assert decoded.grad is None
    assert all(weight.grad is not None for weight in adversary.parameters())


def test_gradients_of_the_sound_are_those_of_discriminators_that_are_not_frozen(adversary, sounds):
    decoded, real = sounds
    losses = adversary.generator_losses(decoded, real)
    (frozen,) = torch.autograd.grad(losses["generator"], decoded)
    logits = [discriminator(decoded)[-1] for discriminator in adversary.discriminators]
    usual = torch.stack([(1 - each).relu().mean() for each in logits]).mean()
    torch.testing.assert_close(losses["generator"], usual)
    torch.testing.assert_close(torch.autograd.grad(usual, decoded)[0], frozen)


def test_equal_sounds_have_equal_features_and_one_that_cannot_tell_loses_two(adversary, sounds):
    _, real = sounds
    assert adversary.generator_losses(real, real)["feature"] == 0
    for discriminator in adversary.discriminators:
        torch.nn.init.zeros_(discriminator.logits.bias)
        torch.nn.init.zeros_(discriminator.logits.parametrizations.weight.original0)
    torch.testing.assert_close(adversary.discriminator_loss(real, real), torch.tensor(2.0))


def test_a_discriminator_learns_to_tell_noise_from_a_tone():
    torch.manual_seed(0)
    adversary = AudioAdversary(AudioDiscriminatorConfig(windows=(256,), channels=4))
    optimizer = torch.optim.Adam(adversary.parameters(), 3e-3)
    tone = torch.sin(torch.arange(3200) * 0.2).expand(2, 1, -1)
    for _ in range(60):
        loss = adversary.discriminator_loss(torch.randn(2, 1, 3200), tone)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.5


def test_balanced_losses_have_the_share_of_the_gradient_that_their_weight_says():
    """However large they are: one is a thousand times the other here."""
    balancer = Balancer({"small": 3.0, "large": 1.0})
    output = torch.randn(5, requires_grad=True)
    first, second = torch.randn(2, 5)
    losses = {"small": (output * first).sum(), "large": 1000 * (output * second).sum()}
    balancer(losses, output).backward()
    expected = 0.75 * first / first.norm() + 0.25 * second / second.norm()
    torch.testing.assert_close(output.grad, expected)


def test_balancer_divides_by_the_running_average_of_the_length():
    balancer = Balancer({"only": 1.0}, decay=0.5)
    output = torch.ones(1, requires_grad=True)
    found = []
    for slope in (2.0, 4.0):
        output.grad = None
        balancer({"only": (slope * output).sum()}, output).backward()
        found.append(output.grad.item())
    assert found == pytest.approx([1.0, 4.0 / ((2 * 0.5 + 4) / 1.5)])


@pytest.mark.parametrize("slope", [float("inf"), float("nan")])
def test_balancer_forgets_a_step_with_a_non_finite_gradient(slope):
    """Also in the first step, which has no average yet to keep."""
    spoilt, plain = Balancer({"only": 1.0}, decay=0.5), Balancer({"only": 1.0}, decay=0.5)
    output = torch.ones(1, requires_grad=True)
    for balancer, slopes in ((spoilt, (slope, 2.0, slope, 4.0)), (plain, (2.0, 4.0))):
        for each in slopes:
            output.grad = None
            balancer({"only": (each * output).sum()}, output).backward()
        assert output.grad.item() == pytest.approx(4.0 / ((2 * 0.5 + 4) / 1.5))
    assert torch.equal(spoilt.sums, plain.sums) and torch.equal(spoilt.count, plain.count)


def test_balancers_averages_are_those_of_all_processes(in_two_processes):
    def averages(rank: int) -> torch.Tensor:
        balancer, output = Balancer({"only": 1.0}, decay=0.5), torch.ones(1, requires_grad=True)
        for slope in (1.0, 3.0):
            balancer({"only": ((slope + 2 * rank) * output).sum()}, output)
        return balancer.sums / balancer.count

    first, second = in_two_processes(averages)
    assert torch.equal(first, second)
    torch.testing.assert_close(first, torch.tensor([(2 * 0.5 + 4) / 1.5]))


@pytest.mark.parametrize(
    "settings, said",
    [({"windows": ()}, "windows"), ({"windows": (30,)}, "windows"), ({"channels": 0}, "channels")],
)
def test_settings_that_cannot_work_are_refused(settings, said):
    with pytest.raises(ValueError, match=f"{said} (is|are)"):
        AudioDiscriminatorConfig(**settings)
