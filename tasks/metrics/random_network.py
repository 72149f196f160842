"""A fixed, randomly initialised 3-D network: features of clips where no trained weights are at hand.

Random convolutions of the pixels and of their change from frame to frame see colours, edges and motion, and
so tell blurred, noisy, frozen or shuffled clips from real ones. What the distance of its features says is
comparable within this project only and is no FVD: it is called `fvd_random` (`fid_random` for images)
everywhere.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SEED = 0
SIZE = 64
_LAYERS = ((32, (1, 2, 2)), (64, (1, 1, 1)), (128, (1, 1, 1)))  # channels and strides
_CHANGE = 2.0  # how much more a change counts than a level


class RandomNetwork(nn.Module):
    """Means and deviations over the clip of the features of three random layers; the weights never change."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(SEED)
        before = 2 * 3
        self.layers = nn.ModuleList()
        for width, stride in _LAYERS:
            layer = nn.Conv3d(before, width, 3, stride, padding=1)
            layer.weight.data.normal_(std=(2 / (27 * before)) ** 0.5, generator=generator)
            layer.bias.data.normal_(std=0.1, generator=generator)
            self.layers.append(layer)
            before = width
        self.requires_grad_(False)

    def forward(self, pixels: Float[Tensor, "batch 3 frames height width"]) -> Float[Tensor, "batch 448"]:
        """Features of clips with pixels in [-1, 1], at least 16x16."""
        change = F.pad(pixels.diff(dim=2), (0, 0, 0, 0, 1, 0))
        features = torch.cat([pixels, _CHANGE * change], 1)
        collected = []
        for layer in self.layers:
            features = F.relu(layer(features))
            collected += [features.mean((2, 3, 4)), features.std((2, 3, 4))]
            features = F.avg_pool3d(features, (min(2, features.shape[2]), 2, 2), ceil_mode=True)
        return torch.cat(collected, 1)
