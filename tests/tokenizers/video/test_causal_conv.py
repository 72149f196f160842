import pytest
import torch

from videolm.tokenizers.video import compact, magvit2
from videolm.tokenizers.video.causal_conv import (
    CausalConv3d,
    FrameNorm,
    SpatialConv,
    TemporalConv,
    patches_from_pixels,
    pixels_from_patches,
    repeat_frames,
)


def seen_frames(layer: torch.nn.Module, num_frames: int, size: int = 4, channels: int = 6) -> list[set[int]]:
    """For each frame of the result, the frames of the input that its gradient reaches."""
    latents = torch.randn(1, num_frames, size, size, channels, requires_grad=True)
    result = layer(latents)
    reached = []
    for frame in range(result.shape[1]):
        (gradient,) = torch.autograd.grad(result[:, frame].square().sum(), latents, retain_graph=True)
        reached.append(set(gradient.abs().sum((0, 2, 3, 4)).nonzero().flatten().tolist()))
    return reached


def test_temporal_conv_equals_a_3d_convolution_padded_on_the_left():
    torch.manual_seed(0)
    layer = TemporalConv(3, 5, kernel=3)
    latents = torch.randn(2, 7, 4, 4, 3)
    padded = torch.nn.functional.pad(latents.permute(0, 4, 1, 2, 3), (0, 0, 0, 0, 2, 0))
    expected = torch.nn.functional.conv3d(padded, layer.conv.weight[..., None], layer.conv.bias)
    torch.testing.assert_close(layer(latents), expected.permute(0, 2, 3, 4, 1))


def test_causal_conv_equals_a_3d_convolution_padded_on_the_left():
    torch.manual_seed(0)
    layer = CausalConv3d(3, 5, (3, 3), spatial_stride=2, temporal_stride=2)
    latents = torch.randn(2, 7, 4, 6, 3)
    padded = torch.nn.functional.pad(latents.permute(0, 4, 1, 2, 3), (1, 1, 1, 1, 2, 0))
    expected = torch.nn.functional.conv3d(padded, layer.conv.weight, layer.conv.bias, stride=2)
    torch.testing.assert_close(layer(latents), expected.permute(0, 2, 3, 4, 1), rtol=1e-5, atol=1e-5)


def test_temporal_conv_sees_the_frame_and_two_before_it():
    assert seen_frames(TemporalConv(6, 6), 5) == [{0}, {0, 1}, {0, 1, 2}, {1, 2, 3}, {2, 3, 4}]


def test_strided_temporal_conv_maps_one_plus_two_k_frames_to_one_plus_k():
    assert seen_frames(TemporalConv(6, 6, stride=2), 7) == [{0}, {0, 1, 2}, {2, 3, 4}, {4, 5, 6}]


@pytest.mark.parametrize("layer", [SpatialConv(6, 6), FrameNorm(6), FrameNorm(6, affine=False, groups=3)])
def test_spatial_layers_see_only_their_own_frame(layer):
    assert seen_frames(layer, 4) == [{0}, {1}, {2}, {3}]


def test_frame_norm_gives_each_frame_mean_zero_and_variance_one():
    latents = torch.randn(2, 3, 8, 8, 4) * torch.tensor([0.1, 1, 10]).view(1, 3, 1, 1, 1) + 5
    normed = FrameNorm(4, affine=False)(latents)
    torch.testing.assert_close(normed.mean((2, 3, 4)), torch.zeros(2, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(normed.std((2, 3, 4), correction=0), torch.ones(2, 3), atol=1e-2, rtol=0)


def test_downsample_and_upsample_undo_each_others_sizes():
    down, up = compact.Downsample(6, 8, 2, 2), compact.Upsample(8, 6, 2, 2)
    latents = torch.randn(2, 9, 8, 12, 6)
    assert down(latents).shape == (2, 5, 4, 6, 8)
    assert up(down(latents)).shape == latents.shape


@pytest.mark.parametrize("layer", [compact.Upsample(6, 6, 1, 4, 5), magvit2.Upsample(6, 1, 4, 5)])
def test_upsample_gives_the_first_latent_one_frame_and_each_later_one_several(layer):
    seen = seen_frames(layer, 3)
    assert [max(frames) for frames in seen] == [0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_repeated_frames_are_those_that_upsampling_makes():
    latents = torch.arange(3.0)[None, :, None]
    assert repeat_frames(latents, 4, is_first=True).flatten().tolist() == [0] + [1] * 4 + [2] * 4
    assert repeat_frames(latents, 2, is_first=False).flatten().tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "layer, first, later",
    [
        (TemporalConv(6, 6), 2, 3),
        (TemporalConv(6, 6, stride=2), 3, 2),
        (TemporalConv(6, 6, kernel=1), 1, 2),
        (CausalConv3d(6, 6, (3, 3), spatial_stride=2, temporal_stride=2), 5, 4),
        (compact.ResidualBlock(6), 1, 1),
        (compact.Downsample(6, 6, 2, 2), 1, 4),
        (compact.Upsample(6, 6, 2, 2), 2, 1),
        (magvit2.ResidualBlock(6, 6, 3), 4, 2),
        (magvit2.Upsample(6, 2, 2, 3), 1, 3),
    ],
)
def test_a_clip_in_parts_gives_what_the_whole_gives(layer, first, later):
    torch.manual_seed(0)
    for weight in layer.parameters():
        torch.nn.init.normal_(weight)
    latents = torch.randn(2, first + 3 * later, 4, 4, 6)
    memory = {}
    parts = [layer(part, memory) for part in latents.split([first, later, later, later], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), layer(latents), rtol=1e-4, atol=1e-4)


def test_patches_are_undone():
    pixels = torch.randn(2, 3, 5, 8, 12)
    patches = patches_from_pixels(pixels, 4)
    assert patches.shape == (2, 5, 2, 3, 48)
    assert torch.equal(pixels_from_patches(patches, 4), pixels)
