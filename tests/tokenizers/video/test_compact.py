import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from videolm.tokenizers.video.compact import CompactDecoder, CompactEncoder, ResidualBlock
from videolm.tokenizers.video.config import VideoTokenizerConfig


@pytest.mark.parametrize(
    "settings, grid",
    [
        ({}, (3, 8, 8)),
        ({"spatial_strides": (2, 2)}, (3, 4, 4)),
        ({"patch": 8, "spatial_strides": (1, 1)}, (3, 8, 8)),
        ({"temporal_strides": (1, 2)}, (5, 8, 8)),
        ({"temporal_strides": (1, 1), "temporal_kernel": 1}, (9, 8, 8)),
        ({"multipliers": (1,), "spatial_strides": (), "temporal_strides": ()}, (9, 16, 16)),
    ],
)
def test_encoder_and_decoder_mirror_each_other(settings, grid):
    config = VideoTokenizerConfig(channels=8, **settings)
    pixels = torch.randn(1, 3, 9, 64, 64)
    latents = CompactEncoder(config)(pixels)
    assert latents.shape == (1, *grid, config.bits)
    assert CompactDecoder(config)(latents).shape == pixels.shape
    assert 64 // config.spatial_stride == grid[1] and 1 + 8 // config.temporal_stride == grid[0]


def test_residual_block_starts_as_the_identity():
    latents = torch.randn(1, 5, 4, 4, 6)
    assert torch.equal(ResidualBlock(6)(latents), latents)


def test_default_size_stays_cheap_enough_to_train_on_a_cpu():
    config = VideoTokenizerConfig()
    with FlopCounterMode(display=False) as counter:
        CompactDecoder(config)(CompactEncoder(config)(torch.zeros(1, 3, 9, 64, 64)))
    assert counter.get_total_flops() < 1.2e9


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"bits": 0}, "bits is 0"),
        ({"bits": 32}, "bits is 32"),
        ({"channels": 0}, "channels is 0"),
        ({"temporal_strides": (2, 0)}, "temporal_strides is"),
        ({"quantizer": "fsq"}, "fsq needs levels"),
        ({"levels": (8, 8)}, "quantizer 'lfq'"),
        ({"temporal_kernel": 1}, "temporal_kernel is 1; a stride of 2"),
        ({"spatial_strides": (2,)}, "spatial_strides are .2,.; expected 2"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        VideoTokenizerConfig(**settings)
