import pytest
import torch

from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.magvit2 import (
    AdaptiveNorm,
    Magvit2Decoder,
    Magvit2Encoder,
    ResidualBlock,
)


def drawn(channels: int, blocks: int) -> VideoTokenizerConfig:
    """The shape of the paper's figure."""
    return VideoTokenizerConfig(
        network="magvit2",
        bits=18,
        channels=channels,
        multipliers=(1, 2, 2, 4),
        blocks=blocks,
        patch=1,
        spatial_strides=(2, 2, 2),
        temporal_strides=(1, 2, 2),
    )


@pytest.mark.parametrize(
    "channels, blocks, encoder, decoder", [(128, 4, 144.9, 225.7), (64, 2, 18.1, 38.4), (64, 4, 36.2, 56.5)]
)
def test_parameters_are_as_many_as_in_the_paper_s_drawing(channels, blocks, encoder, decoder):
    config = drawn(channels, blocks)
    with torch.device("meta"):
        networks = Magvit2Encoder(config), Magvit2Decoder(config)
    millions = [sum(weight.numel() for weight in network.parameters()) / 1e6 for network in networks]
    assert [round(count, 1) for count in millions] == [encoder, decoder]


def test_encoder_and_decoder_mirror_each_other_on_the_paper_s_grid():
    config = drawn(8, 1)
    pixels = torch.randn(1, 3, 17, 32, 48)
    latents = Magvit2Encoder(config)(pixels)
    assert latents.shape == (1, 5, 4, 6, 18)
    assert Magvit2Decoder(config)(latents).shape == pixels.shape


def test_residual_block_starts_as_its_skip():
    latents = torch.randn(1, 3, 4, 4, 6)
    assert torch.equal(ResidualBlock(6, 6, 3)(latents), latents)
    block = ResidualBlock(6, 8, 3)
    assert torch.equal(block(latents), block.skip(latents))


def test_adaptive_norm_takes_scale_and_shift_from_each_frame_s_own_latent():
    torch.manual_seed(0)
    norm = AdaptiveNorm(4, 3)
    hidden, codes = torch.randn(1, 3, 4, 4, 4), torch.randn(1, 3, 2, 2, 3).sign()
    before, changed = norm(hidden, codes), codes.clone()
    changed[:, 1, 0, 0] *= -1
    after = norm(hidden, changed)
    assert torch.equal(after[:, ::2], before[:, ::2]) and not torch.allclose(after[:, 1], before[:, 1])
    deviation = codes[0, 0].flatten(0, 1).std(0, correction=0).clamp(min=1e-3)
    mean = codes[0, 0].flatten(0, 1).mean(0)
    normed = (hidden[0, 0] - hidden[0, 0].mean((0, 1))) / hidden[0, 0].std((0, 1), correction=0)
    expected = normed * (1 + norm.scale(deviation)) + norm.shift(mean)  # four groups of one channel
    torch.testing.assert_close(before[0, 0], expected, rtol=1e-3, atol=1e-3)
