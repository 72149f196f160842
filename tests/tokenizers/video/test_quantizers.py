import pytest
import torch
from vector_quantize_pytorch import LFQ

from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.quantizers import build_quantizer
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

KINDS = {
    "lfq": VideoTokenizerConfig(bits=7),
    "bsq": VideoTokenizerConfig(quantizer="bsq", bits=7),
    "fsq": VideoTokenizerConfig(quantizer="fsq", levels=(8, 5, 5)),
}
SIZES = {"lfq": (128, (8, 16)), "bsq": (128, (8, 16)), "fsq": (200, (8, 25))}


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def latents_of(kind: str, count: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    config = KINDS[kind]
    encoded = torch.randn(2, 3, count, count, config.code_channels, generator=generator)
    return build_quantizer(config).normalised(encoded)


def test_sizes_of_codebook_and_factors(kind):
    quantizer = build_quantizer(KINDS[kind])
    assert (quantizer.codebook_size, quantizer.factors) == SIZES[kind]


def test_every_code_survives_the_way_to_its_value_and_back(kind):
    quantizer = build_quantizer(KINDS[kind])
    codes = torch.arange(quantizer.codebook_size).view(1, 1, 1, -1)
    values = quantizer.values(codes)
    assert len(values.flatten(0, 3).unique(dim=0)) == quantizer.codebook_size
    if kind == "fsq":  # FSQ bounds its latents by tanh: a value is not its own latent
        values = values.clamp(-0.999, 0.999)
        found = quantizer.fsq.codes_to_indices(quantizer.values(codes))
        assert torch.equal(found.long(), codes)
    else:
        assert torch.equal(quantizer.codes(values), codes)


def test_quantized_latents_are_the_values_of_their_codes_with_gradients(kind):
    quantizer, latents = build_quantizer(KINDS[kind]), latents_of(kind).requires_grad_()
    quantized = quantizer.quantize(latents)
    torch.testing.assert_close(quantized, quantizer.values(quantizer.codes(latents)), rtol=0, atol=1e-5)
    (gradient,) = torch.autograd.grad(quantized.sum(), latents)
    assert (gradient > 0).all()


def test_low_factor_is_the_first_half_of_the_channels(kind):
    quantizer = build_quantizer(KINDS[kind])
    low, _ = quantizer.factors
    values = quantizer.values(torch.arange(quantizer.codebook_size))
    half = values.shape[1] // 2
    assert len(values[:low, :half].unique(dim=0)) == low
    assert len(values[::low, :half].unique(dim=0)) == 1


def test_binary_spherical_values_and_entropies_are_those_of_vector_quantize_pytorch():
    quantizer, latents = build_quantizer(KINDS["bsq"]), latents_of("bsq", count=8)
    peer = LFQ(codebook_size=128, dim=7, spherical=True).train()
    result, breakdown = peer(latents.flatten(1, 3), inv_temperature=5.0, return_loss_breakdown=True)
    values = quantizer.values(quantizer.codes(latents)).flatten(1, 3)
    torch.testing.assert_close(values, result.quantized, rtol=0, atol=1e-5)
    penalties = quantizer.penalties(latents, temperature=0.2)
    torch.testing.assert_close(
        penalties["sample_entropy"], breakdown.per_sample_entropy, rtol=1e-3, atol=1e-3
    )
    torch.testing.assert_close(penalties["batch_entropy"], breakdown.batch_entropy, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_a_tokenizer_works_with_each(config):
    tokenizer = VideoTokenizer(config)
    pixels = torch.rand(1, 3, 5, 16, 16) * 2 - 1
    codes = tokenizer.encode(pixels)
    assert codes.min() >= 0 and codes.max() < tokenizer.codebook_size
    reconstruction, _ = tokenizer(pixels)
    torch.testing.assert_close(reconstruction, tokenizer.decode(codes), rtol=0, atol=1e-4)
    reconstruction.sum().backward()
    assert tokenizer.encoder.body.layers[0].conv.weight.grad.abs().sum() >= 0
