import pytest

from videolm.tokenizers.video.config import VideoTokenizerConfig

NETWORKS = {
    "compact": VideoTokenizerConfig(bits=6, channels=8, multipliers=(1, 1, 1)),
    "magvit2": VideoTokenizerConfig(
        network="magvit2",
        bits=6,
        channels=8,
        multipliers=(1, 2, 2, 1),
        patch=1,
        spatial_strides=(2, 2, 2),
        temporal_strides=(1, 2, 2),
    ),
    "vit": VideoTokenizerConfig(
        network="vit",
        bits=6,
        channels=32,
        multipliers=(1,),
        patch=8,
        temporal_patch=4,
        spatial_strides=(),
        temporal_strides=(),
        decoder_blocks=2,
    ),
    "vit-stages": VideoTokenizerConfig(
        network="vit",
        bits=6,
        channels=32,
        multipliers=(1, 2),
        patch=4,
        temporal_patch=4,
        spatial_strides=(2,),
        temporal_strides=(1,),
    ),
}


@pytest.fixture(scope="session", params=NETWORKS)
def network(request) -> VideoTokenizerConfig:
    """A very small tokenizer of each network, 4x8x8."""
    return NETWORKS[request.param]
