import pytest
import torch
import torch.nn.functional as F

from videolm.tokenizers.video.discriminator import (
    Discriminator,
    DiscriminatorConfig,
    ResBlockDown,
    blur_pool,
)


def tiny(**settings) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(DiscriminatorConfig(**({"channels": 4, "multipliers": (2, 4)} | settings)))


def num_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_paper_size_has_the_parameters_of_the_drawing():
    with torch.device("meta"):
        discriminator = Discriminator(DiscriminatorConfig(channels=128, multipliers=(2, 4, 4, 4, 4)))

    def block(before: int, after: int) -> int:
        return (27 * before * after + after) + (27 * after * after + after) + before * after

    first, last = 27 * 3 * 128 + 128, 27 * 512 * 512 + 512
    trunk = first + block(128, 256) + block(256, 512) + 3 * block(512, 512) + last
    assert num_parameters(discriminator.trunk) == trunk == 63_782_144
    assert num_parameters(discriminator.head) == (512 * 512 + 512) + (512 + 1)
    # With the paper's layer after flattening the 1x4x4 positions that are left of 17x128x128.
    flattened = 512 * 16 * 512 + 512
    assert flattened == pytest.approx(4.2e6, rel=0.01)
    assert trunk + flattened + 513 == pytest.approx(68e6, rel=0.01)


@pytest.mark.parametrize("frames, height, width", [(1, 4, 4), (5, 16, 12), (17, 7, 9)])
def test_clips_of_any_length_and_size_get_one_logit_each(frames, height, width):
    pixels = torch.randn(2, 3, frames, height, width)
    logits = tiny()(pixels)
    assert logits.shape == (2,) and logits.isfinite().all() and logits[0] != logits[1]


def test_the_trunk_halves_seventeen_frames_of_128x128_to_one_frame_of_4x4():
    with torch.device("meta"):
        trunk = tiny(channels=1, multipliers=(1,) * 5).trunk
        assert trunk(torch.empty(1, 3, 17, 128, 128)).shape == (1, 1, 1, 4, 4)


def test_the_head_reads_the_mean_over_positions():
    discriminator, pixels = tiny(), torch.randn(2, 3, 5, 8, 12)
    features = discriminator.trunk(pixels)
    expected = discriminator.head(features.flatten(2).mean(2))[:, 0]
    torch.testing.assert_close(discriminator(pixels), expected)


def test_a_clip_is_judged_on_its_own():
    discriminator, pixels = tiny(), torch.randn(3, 3, 4, 8, 8)
    torch.testing.assert_close(discriminator(pixels)[1:2], discriminator(pixels[1:2]))


def test_every_frame_is_judged_in_the_light_of_earlier_and_later_ones():
    discriminator = tiny()
    pixels = torch.randn(1, 3, 6, 8, 8, requires_grad=True)
    first_features = discriminator.trunk(pixels)[:, :, 0]
    (gradient,) = torch.autograd.grad(first_features.square().sum(), pixels)
    assert (gradient.abs().sum((0, 1, 3, 4)) > 0).all()


def test_every_parameter_learns():
    discriminator = tiny()
    discriminator(torch.randn(2, 3, 4, 8, 8)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in discriminator.parameters())


def test_frames_smaller_than_the_halvings_allow_are_refused():
    discriminator = tiny(multipliers=(1,) * 4)
    assert discriminator(torch.randn(1, 3, 1, 16, 16)).shape == (1,)
    with pytest.raises(ValueError, match=r"15x16.*at least 16x16"):
        discriminator(torch.randn(1, 3, 1, 15, 16))


@pytest.mark.parametrize("settings", [{"channels": 0}, {"multipliers": ()}, {"multipliers": (2, 0)}])
def test_impossible_shapes_are_refused(settings):
    with pytest.raises(ValueError, match="expected"):
        DiscriminatorConfig(**settings)


def test_blur_pool_equals_a_strided_convolution_with_the_binomial_kernel():
    features = torch.randn(2, 3, 5, 6, 7)
    binomial = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = torch.einsum("i,j,k->ijk", binomial, binomial, binomial).expand(3, 1, 3, 3, 3)
    padded = F.pad(features, (1,) * 6, mode="replicate")
    torch.testing.assert_close(blur_pool(features), F.conv3d(padded, kernel, stride=2, groups=3))


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 4, 5), (3, 2, 9)])
def test_blur_pool_keeps_constants_and_rounds_sizes_up(size):
    halves = tuple((length + 1) // 2 for length in size)
    torch.testing.assert_close(blur_pool(torch.full((1, 2, *size), 0.7)), torch.full((1, 2, *halves), 0.7))


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_blur_pool_removes_the_finest_stripes(axis):
    shape = [1, 1, 1, 1, 1]
    shape[axis] = 12
    stripes = torch.tensor([1.0, -1.0]).repeat(6).view(shape).expand(1, 1, 12, 12, 12)
    inner = blur_pool(stripes).narrow(axis, 1, 5)
    torch.testing.assert_close(inner, torch.zeros_like(inner))


def test_a_block_is_the_drawn_one():
    torch.manual_seed(0)
    block, features = ResBlockDown(3, 5), torch.randn(1, 3, 4, 6, 8)

    def active(convolution: torch.nn.Module, features: torch.Tensor) -> torch.Tensor:
        result = F.conv3d(features, convolution.weight, convolution.bias, padding=1)
        return torch.where(result > 0, result, 0.2 * result)

    changed = active(block.after, blur_pool(active(block.before, features)))
    skip = torch.einsum("oi,nithw->nothw", block.skip.weight[:, :, 0, 0, 0], blur_pool(features))
    torch.testing.assert_close(block(features), (changed + skip) / 2**0.5)


def test_the_blur_is_not_learned_and_the_state_holds_parameters_only():
    discriminator = tiny()
    assert set(discriminator.state_dict()) == {name for name, _ in discriminator.named_parameters()}
