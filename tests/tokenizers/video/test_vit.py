"""The transformer network: patches of space and time, attention within frames, positions of any grid."""

import pytest
import torch

from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.vit import (
    FrameAttention,
    Merge,
    Positions,
    Split,
    TransformerBlock,
    VitDecoder,
    VitEncoder,
)

SHAPE = {
    "network": "vit",
    "channels": 32,
    "multipliers": (1,),
    "spatial_strides": (),
    "temporal_strides": (),
}


@pytest.mark.parametrize(
    "settings, grid",
    [
        ({"patch": 8, "temporal_patch": 4}, (3, 4, 8)),
        ({"patch": 16, "temporal_patch": 2, "blocks": 2, "decoder_blocks": 3}, (5, 2, 4)),
        ({"patch": 4, "temporal_kernel": 1}, (9, 8, 16)),
        (
            {"patch": 4, "temporal_patch": 4, "multipliers": (1, 2, 1), "spatial_strides": (2, 1)}
            | {"temporal_strides": (1, 1), "decoder_blocks": 2},
            (3, 4, 8),
        ),
    ],
)
def test_encoder_and_decoder_mirror_each_other(settings, grid):
    config = VideoTokenizerConfig(**SHAPE | settings)
    pixels = torch.randn(1, 3, 9, 32, 64)
    latents = VitEncoder(config)(pixels)
    assert latents.shape == (1, *grid, config.bits)
    assert VitDecoder(config)(latents).shape == pixels.shape
    assert 32 // config.spatial_stride == grid[1] and 1 + 8 // config.temporal_stride == grid[0]


def test_a_block_starts_as_the_identity():
    latents = torch.randn(1, 5, 4, 4, 32)
    assert torch.equal(TransformerBlock(32, 3)(latents), latents)


def test_attention_sees_the_whole_frame_and_no_other():
    attention = FrameAttention(64)
    torch.nn.init.normal_(attention.output.weight)
    latents = torch.randn(1, 3, 4, 4, 64, requires_grad=True)
    attention(latents)[0, 1, 0, 0].sum().backward()
    assert latents.grad is not None
    seen = latents.grad.abs().sum(-1)[0] > 0
    assert seen[1].all() and not seen[0].any() and not seen[2].any()


def test_without_attention_a_code_is_of_its_own_patch_alone():
    config = VideoTokenizerConfig(**SHAPE, patch=8, temporal_kernel=1, attention=False)
    torch.manual_seed(0)
    encoder, decoder = VitEncoder(config), VitDecoder(config)
    for weight in (*encoder.parameters(), *decoder.parameters()):
        torch.nn.init.normal_(weight, std=0.2)
    pixels = torch.randn(1, 3, 2, 16, 16)
    tile = pixels[..., 8:, :8]
    torch.testing.assert_close(encoder(pixels)[:, :, 1:, :1], encoder(tile))
    latents = encoder(pixels)
    torch.testing.assert_close(decoder(latents)[..., 8:, :8], decoder(latents[:, :, 1:, :1]))


def test_merging_and_splitting_move_every_square_as_a_whole():
    merge, split = Merge(3, 12, 2), Split(12, 3, 2)
    with torch.no_grad():
        for layer in (merge, split):
            layer.project.weight.copy_(torch.eye(12))
            layer.project.bias.zero_()
    latents = torch.randn(2, 3, 4, 6, 3)
    merged = merge(latents)
    assert merged.shape == (2, 3, 2, 3, 12)
    torch.testing.assert_close(merged[:, :, 1, 2], latents[:, :, 2:, 4:].flatten(2))
    torch.testing.assert_close(split(merged), latents)


def test_every_place_of_a_grid_of_any_size_has_a_position_of_its_own():
    positions = Positions(32)
    for height, width in ((4, 4), (1, 40), (16, 28)):
        added = positions(torch.zeros(1, 1, height, width, 32)).flatten(0, 3)
        distances = torch.cdist(added, added) + torch.eye(len(added))
        assert distances.min() > 1e-3
    small, large = (positions(torch.zeros(1, 1, size, size, 32))[0, 0] for size in (4, 8))
    torch.testing.assert_close(small, large[:4, :4])


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"multipliers": (1, 2), "spatial_strides": (2,), "temporal_strides": (2,)}, "temporal_patch alone"),
        ({"temporal_patch": 0}, "temporal_patch is 0"),
        ({"temporal_patch": 4, "temporal_kernel": 1}, "its temporal_patch is 1"),
        ({"network": "compact", "temporal_patch": 4}, "temporal_patch is 4; only a vit has it"),
        ({"network": "magvit2", "decoder_blocks": 2}, "decoder_blocks is 2; only a vit has it, not magvit2"),
        ({"network": "compact", "attention": False}, "attention is False; only a vit has it"),
        ({"decoder_blocks": -1}, "decoder_blocks is -1"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        VideoTokenizerConfig(**SHAPE | settings)
