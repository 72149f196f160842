import itertools
import math

import pytest
import torch

from videolm.tokenizers.video.lfq import (
    code_statistics,
    codes_from_latents,
    commitment,
    entropies,
    latents_from_codes,
    quantize,
)


def brute_force_entropies(latents: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition, over the whole codebook in float64."""
    latents = latents.double().flatten(0, -2)
    codebook = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=latents.shape[1]))).double()
    distances = (latents[:, None] - codebook).square().sum(-1)
    soft = torch.softmax(-distances / temperature, dim=1)
    mean = soft.mean(0)
    return torch.special.entr(soft).sum(1).mean(), torch.special.entr(mean).sum()


def test_channel_i_is_bit_i():
    latents = torch.full((1, 4), -1.0)
    latents[0, 0] = 1
    assert codes_from_latents(latents).tolist() == [1]
    latents[0, 3] = 1
    assert codes_from_latents(latents).tolist() == [9]


def test_zero_counts_as_minus_one():
    latents = torch.tensor([[0.0, 0.5]])
    assert codes_from_latents(latents).tolist() == [2]
    assert quantize(latents).tolist() == [[-1.0, 1.0]]


@pytest.mark.parametrize("bits", [1, 7, 18])
def test_codes_survive_the_way_to_latents_and_back(bits):
    codes = torch.randint(2**bits, (2, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    latents = latents_from_codes(codes, bits)
    assert latents.shape == (2, 3, 4, 4, bits) and set(latents.unique().tolist()) <= {-1.0, 1.0}
    assert torch.equal(codes_from_latents(latents), codes)
    assert torch.equal(quantize(latents), latents)


def test_gradient_passes_straight_through_the_signs():
    latents = torch.randn(5, 4, requires_grad=True)
    weights = torch.randn(5, 4)
    (quantize(latents) * weights).sum().backward()
    assert torch.equal(latents.grad, weights)


def test_commitment_is_the_squared_distance_to_the_signs():
    torch.testing.assert_close(commitment(torch.tensor([[0.5, -3.0]])), torch.tensor((0.25 + 4) / 2))


@pytest.mark.parametrize("bits", [1, 5, 12])
def test_entropies_and_gradients_equal_a_brute_force_over_the_codebook(bits):
    latents = torch.randn(40, bits, generator=torch.Generator().manual_seed(bits)).requires_grad_()
    for exact, slow in zip(entropies(latents, 1.0), brute_force_entropies(latents, 1.0), strict=True):
        torch.testing.assert_close(exact.double(), slow, rtol=1e-5, atol=1e-6)
        (gradient,) = torch.autograd.grad(exact, latents, retain_graph=True)
        (expected,) = torch.autograd.grad(slow, latents, retain_graph=True)
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)


def test_entropies_equal_those_of_vector_quantize_pytorch_at_its_temperature():
    from vector_quantize_pytorch import LFQ

    latents = torch.randn(1, 60, 8, generator=torch.Generator().manual_seed(0)) * 0.02
    _, breakdown = LFQ(dim=8, codebook_size=256).train()(
        latents, inv_temperature=100.0, return_loss_breakdown=True
    )
    per_sample, batch = entropies(latents, 0.01)
    torch.testing.assert_close(per_sample, breakdown.per_sample_entropy, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(batch, breakdown.batch_entropy, rtol=1e-3, atol=1e-4)


def test_even_use_of_a_large_codebook_has_its_full_entropy():
    # 2 ** -18 is smaller than the constant usually added inside the logarithm.
    latents = torch.zeros(3, 18)
    per_sample, batch = entropies(latents, 1.0)
    torch.testing.assert_close(batch, torch.tensor(18 * math.log(2)))
    torch.testing.assert_close(per_sample, batch)


def test_saturated_latents_have_finite_gradients():
    latents = (torch.randn(20, 18, generator=torch.Generator().manual_seed(0)) * 1000).requires_grad_()
    per_sample, batch = entropies(latents, 0.01)
    (per_sample - batch).backward()
    assert latents.grad.isfinite().all()
    torch.testing.assert_close(batch, torch.tensor(math.log(20)))


def test_entropies_are_float32_under_autocast():
    latents = torch.randn(30, 10, generator=torch.Generator().manual_seed(0))
    expected = entropies(latents, 1.0)
    with torch.autocast("cpu", torch.bfloat16):
        actual = entropies(latents, 1.0)
    assert actual == expected


def test_batch_entropy_is_that_of_all_processes_together(in_two_processes):
    latents = torch.randn(20, 7, generator=torch.Generator().manual_seed(0))

    def entropy_of(part: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        part = part.clone().requires_grad_()
        batch = entropies(part, 1.0)[1]
        batch.backward()
        return batch.detach(), part.grad

    expected, gradient = entropy_of(latents)
    (first, first_gradient), (second, second_gradient) = in_two_processes(
        lambda rank: entropy_of(latents[10 * rank :][:10])
    )
    assert first == second
    torch.testing.assert_close(first, expected)
    # Distributed training averages gradients over processes, so each carries the number of them.
    torch.testing.assert_close(torch.cat([first_gradient, second_gradient]) / 2, gradient)


def test_code_statistics_of_known_uses():
    even = code_statistics(torch.full((16,), 3))
    assert even == pytest.approx({"code_use": 1.0, "perplexity": 16.0, "bit_balance": 1.0})
    counts = torch.zeros(16, dtype=torch.long)
    counts[[0, 1]] = torch.tensor([3, 1])  # only bit 0 ever changes
    odd = code_statistics(counts)
    assert odd["code_use"] == 2 / 16 and odd["bit_balance"] == 0
    assert odd["perplexity"] == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
