"""The compact causal encoder and decoder: pixels to latents and back.

    encoder   patches -> conv -> [blocks, downsample] x (stages - 1) -> blocks -> norm, SiLU, 1x1 conv
    decoder   conv -> blocks -> [upsample, blocks] x (stages - 1) -> norm, SiLU, conv -> patches

Cutting the pictures into patches first and factorising every convolution over space and time costs a
twentieth to a thirtieth of the operations of MAGVIT-v2's network (Yu et al. 2023, arXiv:2310.05737,
appendix A.1) for the same grid of codes, as Cosmos Tokenizer does (Agarwal et al. 2025, arXiv:2501.03575,
section 4).
"""

from dataclasses import dataclass
from math import prod

from jaxtyping import Float
from torch import Tensor, nn

from .causal_conv import (
    Downsample,
    FrameNorm,
    SpatialConv,
    TemporalConv,
    Upsample,
    patches_from_pixels,
    pixels_from_patches,
)


@dataclass(frozen=True)
class VideoTokenizerConfig:
    """Shape of a video tokenizer.

    Args:
        bits: bits of a code; the codebook has 2 ** bits entries.
        channels: width of the first stage.
        multipliers: width of each stage in units of `channels`.
        blocks: residual blocks of a stage.
        patch: height and width of the square of pixels that the first convolution sees as one position.
        spatial_strides: between each stage and the next; a code covers patch * their product pixels.
        temporal_strides: between each stage and the next; a later code covers their product in frames.
    """

    bits: int = 10
    channels: int = 48
    multipliers: tuple[int, ...] = (1, 2, 2)
    blocks: int = 1
    patch: int = 4
    spatial_strides: tuple[int, ...] = (2, 1)
    temporal_strides: tuple[int, ...] = (2, 2)

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 24:
            raise ValueError(f"bits is {self.bits}; expected 1 to 24")
        for name in ("channels", "blocks", "patch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 or more")
        for name in ("multipliers", "spatial_strides", "temporal_strides"):
            if any(value < 1 for value in getattr(self, name)):
                raise ValueError(f"{name} are {getattr(self, name)}; expected 1 or more each")
        between = len(self.multipliers) - 1
        for name in ("spatial_strides", "temporal_strides"):
            if len(getattr(self, name)) != between:
                raise ValueError(
                    f"{name} are {getattr(self, name)}; expected {between}, one between each of the "
                    f"{len(self.multipliers)} stages and the next"
                )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each stage."""
        return tuple(self.channels * multiplier for multiplier in self.multipliers)

    @property
    def spatial_stride(self) -> int:
        return self.patch * prod(self.spatial_strides)

    @property
    def temporal_stride(self) -> int:
        return prod(self.temporal_strides)


class ResidualBlock(nn.Module):
    """x + temporal(spatial(x)), each convolution after a norm and SiLU; starts as the identity."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            FrameNorm(channels),
            nn.SiLU(),
            SpatialConv(channels, channels),
            FrameNorm(channels),
            nn.SiLU(),
            TemporalConv(channels, channels),
        )
        nn.init.zeros_(self.layers[-1].conv.weight)
        nn.init.zeros_(self.layers[-1].conv.bias)

    def forward(
        self, latents: Float[Tensor, "batch t h w channels"]
    ) -> Float[Tensor, "batch t h w channels"]:
        return latents + self.layers(latents)


class Encoder(nn.Module):
    """Pixels in [-1, 1] to continuous latents of `bits` channels."""

    def __init__(self, config: VideoTokenizerConfig):
        super().__init__()
        self.patch = config.patch
        widths = config.widths
        layers: list[nn.Module] = [SpatialConv(3 * config.patch**2, widths[0])]
        for stage, width in enumerate(widths):
            layers += [ResidualBlock(width) for _ in range(config.blocks)]
            if stage < len(widths) - 1:
                strides = config.spatial_strides[stage], config.temporal_strides[stage]
                layers.append(Downsample(width, widths[stage + 1], *strides))
        layers += [FrameNorm(widths[-1]), nn.SiLU(), SpatialConv(widths[-1], config.bits, kernel=1)]
        self.layers = nn.Sequential(*layers)

    def forward(
        self, pixels: Float[Tensor, "batch 3 frames height width"]
    ) -> Float[Tensor, "batch t h w bits"]:
        return self.layers(patches_from_pixels(pixels, self.patch))


class Decoder(nn.Module):
    """Latents to pixels: the encoder's mirror. Pixels may leave [-1, 1] a little."""

    def __init__(self, config: VideoTokenizerConfig):
        super().__init__()
        self.patch = config.patch
        widths = config.widths
        layers: list[nn.Module] = [SpatialConv(config.bits, widths[-1])]
        for stage in reversed(range(len(widths))):
            layers += [ResidualBlock(widths[stage]) for _ in range(config.blocks)]
            if stage:
                strides = config.spatial_strides[stage - 1], config.temporal_strides[stage - 1]
                layers.append(Upsample(widths[stage], widths[stage - 1], *strides))
        layers += [FrameNorm(widths[0]), nn.SiLU(), SpatialConv(widths[0], 3 * config.patch**2)]
        self.layers = nn.Sequential(*layers)

    def forward(
        self, latents: Float[Tensor, "batch t h w bits"]
    ) -> Float[Tensor, "batch 3 frames height width"]:
        return pixels_from_patches(self.layers(latents), self.patch)
