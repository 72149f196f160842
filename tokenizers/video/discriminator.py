"""The discriminator of the video tokenizer: is this clip real, or a reconstruction?

    conv -> [conv, blur pooling, conv, with a skip] x len(multipliers) -> conv -> mean -> linear -> linear

The 3-D network of StyleGAN's type that MAGVIT-v2 draws (Yu et al. 2023, arXiv:2310.05737, appendix A.2).
Unlike the tokenizer it is not causal: it judges a clip as a whole.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from ...data.runtime.pretrained import PretrainedMixin

_SLOPE = 0.2


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Shape of a discriminator.

    Args:
        channels: width of the first convolution; the paper's is 128.
        multipliers: width after each halving in units of `channels`.
    """

    channels: int = 32
    multipliers: tuple[int, ...] = (2, 4, 4, 4, 4)

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise ValueError(f"channels is {self.channels}; expected 1 or more")
        if not self.multipliers or min(self.multipliers) < 1:
            raise ValueError(f"multipliers are {self.multipliers}; expected at least one, each 1 or more")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels before the first and after each halving."""
        return tuple(self.channels * multiplier for multiplier in (1, *self.multipliers))

    @property
    def least_size(self) -> int:
        """Pixels of height and width below which nothing is left to halve."""
        return 2 ** len(self.multipliers)


class Discriminator(PretrainedMixin, nn.Module):
    """One logit for each clip: high for a real one.

    The paper flattens the last features into its first linear layer, which fixes the number of frames and
    the size and, at 17 frames of 128x128, holds 4.2 of the 68 million parameters. The mean over positions
    stands in its place, so that one network serves clips of any length and size, and single images.
    """

    kind = "video_discriminator"
    config_class = DiscriminatorConfig

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.config = config
        widths = config.widths
        self.trunk = nn.Sequential(
            nn.Conv3d(3, widths[0], 3, padding=1),
            nn.LeakyReLU(_SLOPE),
            *(ResBlockDown(narrow, wide) for narrow, wide in pairwise(widths)),
            nn.Conv3d(widths[-1], widths[-1], 3, padding=1),
            nn.LeakyReLU(_SLOPE),
        )
        self.head = nn.Sequential(
            nn.Linear(widths[-1], widths[-1]), nn.LeakyReLU(_SLOPE), nn.Linear(widths[-1], 1)
        )
        self.apply(_initialize)

    def forward(self, pixels: Float[Tensor, "batch 3 frames height width"]) -> Float[Tensor, " batch"]:
        """Logits of clips.

        Under autocast the convolutions run in half precision, and the head, which costs nothing beside them,
        in that of the weights: logits rounded to bfloat16 would be multiples of 2^-8 of their size.

        Args:
            pixels: in [-1, 1]; any number of frames, height and width at least `config.least_size`.

        Raises:
            ValueError: if the frames are smaller than that.
        """
        height, width = pixels.shape[-2:]
        least = self.config.least_size
        if min(height, width) < least:
            raise ValueError(
                f"frames are {height}x{width}; a discriminator with {len(self.config.multipliers)} "
                f"multipliers expects at least {least}x{least}"
            )
        features = self.trunk(pixels)
        with torch.autocast(pixels.device.type, enabled=False):
            mean = features.to(self.head[0].weight.dtype).mean((2, 3, 4))
            return self.head(mean).squeeze(1)


class ResBlockDown(nn.Module):
    """Half of the frames, the height and the width, each rounded up.

    The sum with the skip is divided by sqrt(2), as in StyleGAN 2 (Karras et al. 2020, arXiv:1912.04958,
    section 4.1) and the code of MAGVIT, so that a deep stack keeps the scale of its features.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.before = nn.Conv3d(in_channels, out_channels, 3, padding=1)
        self.after = nn.Conv3d(out_channels, out_channels, 3, padding=1)
        self.skip = nn.Conv3d(in_channels, out_channels, 1, bias=False)

    def forward(
        self, features: Float[Tensor, "batch in_channels t h w"]
    ) -> Float[Tensor, "batch out_channels half_t half_h half_w"]:
        changed = F.leaky_relu(self.before(features), _SLOPE)
        changed = F.leaky_relu(self.after(blur_pool(changed)), _SLOPE)
        return (self.skip(blur_pool(features)) + changed) / math.sqrt(2)


def blur_pool(
    features: Float[Tensor, "batch channels t h w"],
) -> Float[Tensor, "batch channels half_t half_h half_w"]:
    """Every other position of each axis, the first one included, after a blur with [1, 2, 1] / 4.

    Without the blur, what is finer than the new grid would come back as false coarse patterns (Zhang 2019,
    arXiv:1904.11486). Borders are repeated outwards, so a constant stays what it is and one frame stays one
    frame. Each axis is one matrix product: on a CPU this is faster than a depthwise convolution, above all
    in the second derivatives that the gradient penalty needs.
    """
    time, height, width = (_halving(features, axis) for axis in (2, 3, 4))
    features = height @ features @ width.T
    pooled = time @ rearrange(features, "b c t h w -> b c t (h w)")
    return rearrange(pooled, "b c t (h w) -> b c t h w", h=len(height))


def _halving(features: Float[Tensor, "batch channels t h w"], axis: int) -> Float[Tensor, "half size"]:
    """The matrix that blurs and halves one axis."""
    size = features.shape[axis]
    identity = torch.eye(size, dtype=features.dtype, device=features.device)
    with_borders = torch.cat([identity[:1], identity, identity[-1:]])
    return (with_borders[:-2:2] + 2 * with_borders[1:-1:2] + with_borders[2::2]) / 4


def _initialize(module: nn.Module) -> None:
    """Weights as in the code of MAGVIT: Glorot's uniform distribution, biases zero."""
    if isinstance(module, nn.Conv3d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
