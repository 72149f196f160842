from dataclasses import replace

import pytest
import torch

from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.discriminator import Discriminator, DiscriminatorConfig
from videolm.tokenizers.video.inflation import DISCRIMINATOR, start_discriminator, start_from
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer


def as_image_config(config: VideoTokenizerConfig) -> VideoTokenizerConfig:
    strides = (1,) * len(config.temporal_strides)
    return replace(config, temporal_kernel=1, temporal_patch=1, temporal_strides=strides)


@pytest.fixture
def pair(network, tmp_path) -> tuple[VideoTokenizer, VideoTokenizer]:
    """A tokenizer of images with random weights, and one of videos that starts from it."""
    torch.manual_seed(0)
    image = VideoTokenizer(as_image_config(network)).eval()
    for weight in image.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    image.save_pretrained(tmp_path / "image")
    video = VideoTokenizer(network).eval()
    start_from(video, tmp_path / "image")
    return image, video


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.rand(2, 3, 9, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_an_image_has_the_latents_that_it_had(pair, pixels):
    image, video = pair
    frame = pixels[:, :, :1]
    torch.testing.assert_close(video.latents(frame), image.latents(frame), rtol=0, atol=1e-5)
    codes = image.encode(frame)
    torch.testing.assert_close(video.decode(codes), image.decode(codes), rtol=0, atol=1e-5)


def test_latent_j_is_the_image_latent_of_frame_4j(pair, pixels):
    image, video = pair
    expected = image.latents(pixels[:, :, ::4])
    torch.testing.assert_close(video.latents(pixels), expected, rtol=0, atol=1e-5)


def test_every_frame_of_a_latent_shows_its_image(pair, pixels):
    image, video = pair
    codes = image.encode(pixels[:, :, ::4])
    shown = image.decode(codes)[:, :, [0, 1, 1, 1, 1, 2, 2, 2, 2]]
    torch.testing.assert_close(video.decode(codes), shown, rtol=0, atol=1e-5)


def test_a_video_tokenizer_starts_another_as_it_is(pair, tmp_path):
    _, video = pair
    video.save_pretrained(tmp_path / "video")
    other = VideoTokenizer(video.config)
    start_from(other, tmp_path / "video")
    assert other.fingerprint == video.fingerprint


def test_another_shape_is_refused(pair, tmp_path):
    image, video = pair
    image.save_pretrained(tmp_path / "image")
    other = VideoTokenizer(replace(video.config, bits=5))
    with pytest.raises(ValueError, match="does not fit the tokenizer to be trained"):
        start_from(other, tmp_path / "image")


def judge(seed: int, channels: int = 4) -> Discriminator:
    torch.manual_seed(seed)
    return Discriminator(DiscriminatorConfig(channels=channels, multipliers=(2, 2)))


def test_a_still_clip_has_the_logit_of_its_image(pair, tmp_path, pixels):
    images, videos = judge(1), judge(2)
    images.save_pretrained(tmp_path / "image" / DISCRIMINATOR)
    start_discriminator(videos, tmp_path / "image", of_videos=True)
    frame = pixels[:, :, :1]
    torch.testing.assert_close(videos(frame.expand(-1, -1, 9, -1, -1)), images(frame))


def test_a_discriminator_of_videos_goes_on_as_it_is(pair, tmp_path, pixels):
    _, video = pair
    video.save_pretrained(tmp_path / "video")
    first, second = judge(1), judge(2)
    first.save_pretrained(tmp_path / "video" / DISCRIMINATOR)
    start_discriminator(second, tmp_path / "video", of_videos=True)
    assert torch.equal(second(pixels), first(pixels))


def test_a_tokenizer_without_a_discriminator_is_named(pair, tmp_path, pixels):
    video, before = judge(2), judge(2)
    with pytest.warns(UserWarning, match="image has no discriminator to start from"):
        start_discriminator(video, tmp_path / "image", of_videos=True)
    assert torch.equal(video(pixels), before(pixels))


def test_a_discriminator_of_another_shape_is_refused(pair, tmp_path):
    judge(1).save_pretrained(tmp_path / "image" / DISCRIMINATOR)
    with pytest.raises(ValueError, match="does not fit the discriminator to be trained"):
        start_discriminator(judge(1, channels=8), tmp_path / "image", of_videos=True)
