import pytest
import torch

from videolm.lm.model.rms_norm import FoldedNorm, RMSNorm


def test_norm_gives_unit_root_mean_square_and_keeps_the_type():
    features = torch.randn(5, 16, generator=torch.Generator().manual_seed(0)) * 100
    normed = RMSNorm(16)(features)
    torch.testing.assert_close(normed.square().mean(-1), torch.ones(5))
    assert RMSNorm(16)(features.to(torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("size", [1e-4, 1.0])
def test_norm_and_its_gradients_are_pytorchs(size):
    generator = torch.Generator().manual_seed(0)
    features = (torch.randn(2, 3, 6, generator=generator, dtype=torch.float64) * size).requires_grad_()
    norm, upstream = RMSNorm(6).double(), torch.randn(2, 3, 6, generator=generator, dtype=torch.float64)
    torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
    expected = torch.nn.functional.rms_norm(features, (6,), norm.weight, eps=RMSNorm.eps)
    torch.testing.assert_close(norm(features), expected)
    inputs = (features, norm.weight)
    found = torch.autograd.grad(norm(features), inputs, upstream)
    for ours, exact in zip(found, torch.autograd.grad(expected, inputs, upstream), strict=True):
        torch.testing.assert_close(ours, exact)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_folded_norm_is_the_same_norm(dtype):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 6, generator=generator).to(dtype)
    norm = RMSNorm(6).to(dtype)
    torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
    folded = FoldedNorm(norm.weight.detach())
    assert folded(features).dtype == dtype
    torch.testing.assert_close(folded(features), norm(features).detach())
    wide = torch.promote_types(dtype, torch.float32)
    assert folded.wide(features).dtype == wide
    torch.testing.assert_close(folded.wide(features), norm(features.to(wide)).detach())


def test_norms_that_are_applied_together_keep_their_own_weights():
    features = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([[1.0], [2.0], [3.0]]).expand(3, 6)
    together = FoldedNorm(weights).wide(features)
    for head in range(3):
        torch.testing.assert_close(together[:, head], FoldedNorm(weights[head]).wide(features[:, head]))
