"""Fixed, randomly initialised 3-D networks: features of clips without trained weights.

One network takes the pixels, the other the difference of neighbouring frames. Features are logarithms, so
that weak motion counts beside strong colours. They tell blurred, noisy, frozen or shuffled clips from real
ones. Their distance is comparable within this project only and is no FVD: it is called `fvd_random`
(`fid_random` for images) everywhere.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SEED = 0
SIZE = 64
_LAYERS = ((16, (1, 2, 2)), (32, (1, 1, 1)), (64, (1, 1, 1)))  # channels and strides
_CHANGE = 4.0  # how much more a change counts than a level
_FLOOR = 0.02  # of a feature; what is weaker does not count


class RandomNetwork(nn.Module):
    """Means and deviations over the clip of the features of random layers; the weights never change."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(SEED)
        self.of_pixels, self.of_change = _layers(generator), _layers(generator)
        self.requires_grad_(False)

    def forward(self, pixels: Float[Tensor, "batch 3 frames height width"]) -> Float[Tensor, "batch 448"]:
        """Features of clips with pixels in [-1, 1], at least 16x16."""
        change = F.pad(pixels.diff(dim=2), (0, 0, 0, 0, 1, 0))
        seen = [*_statistics(self.of_pixels, pixels), *_statistics(self.of_change, _CHANGE * change)]
        return torch.log(torch.cat(seen, 1) + _FLOOR)


def _layers(generator: torch.Generator) -> nn.ModuleList:
    layers, before = nn.ModuleList(), 3
    for width, stride in _LAYERS:
        layer = nn.Conv3d(before, width, 3, stride, padding=1)
        layer.weight.data.normal_(std=(2 / (27 * before)) ** 0.5, generator=generator)
        assert layer.bias is not None
        layer.bias.data.normal_(std=0.1, generator=generator)
        layers.append(layer)
        before = width
    return layers


def _statistics(layers: nn.ModuleList, features: Tensor) -> list[Tensor]:
    """Mean and deviation of each channel of each layer."""
    found = []
    for layer in layers:
        features = F.relu(layer(features))
        found += [features.mean((2, 3, 4)), features.std((2, 3, 4))]
        features = F.avg_pool3d(features, (min(2, features.shape[2]), 2, 2), ceil_mode=True)
    return found
