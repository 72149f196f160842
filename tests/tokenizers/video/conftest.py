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
}


@pytest.fixture(scope="session", params=NETWORKS)
def network(request) -> VideoTokenizerConfig:
    """A very small tokenizer of either network, 4x8x8."""
    return NETWORKS[request.param]
