"""The compact causal encoder and decoder: pixels to latents and back.

    encoder   patches -> conv -> [blocks, downsample] x (stages - 1) -> blocks -> norm, SiLU, 1x1 conv
    decoder   conv -> blocks -> [upsample, blocks] x (stages - 1) -> norm, SiLU, conv -> patches

Cutting the pictures into patches first and factorising every convolution over space and time costs a
twentieth to a thirtieth of the operations of MAGVIT-v2's network (Yu et al. 2023, arXiv:2310.05737,
appendix A.1) for the same grid of codes, as Cosmos Tokenizer does (Agarwal et al. 2025, arXiv:2501.03575,
section 4).
"""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from .causal_conv import (
    Causal,
    CausalSequential,
    FrameNorm,
    Memory,
    SpatialConv,
    TemporalConv,
    patches_from_pixels,
    pixels_from_patches,
)
from .config import VideoTokenizerConfig


class ResidualBlock(Causal):
    """x + temporal(spatial(x)), each convolution after a norm and SiLU; starts as the identity."""

    def __init__(self, channels: int, temporal_kernel: int = 3):
        super().__init__()
        temporal = TemporalConv(channels, channels, temporal_kernel)
        self.body = CausalSequential(
            FrameNorm(channels),
            nn.SiLU(),
            SpatialConv(channels, channels),
            FrameNorm(channels),
            nn.SiLU(),
            temporal,
        )
        for parameter in temporal.conv.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, latents: Float[Tensor, "batch t h w channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch t h w channels"]:
        return latents + self.body(latents, memory)


class Downsample(Causal):
    """Fewer positions, then fewer frames: 1 + temporal_stride * t frames become 1 + t."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_stride: int,
        temporal_stride: int,
        temporal_kernel: int = 3,
    ):
        super().__init__()
        self.spatial = SpatialConv(in_channels, out_channels, stride=spatial_stride)
        self.temporal = TemporalConv(out_channels, out_channels, temporal_kernel, temporal_stride)

    def forward(
        self, latents: Float[Tensor, "batch t h w in_channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch new_t new_h new_w out_channels"]:
        return self.temporal(self.spatial(latents), memory)


class Upsample(Causal):
    """The mirror of `Downsample`: convolutions to more channels, then depth to time and to space.

    1 + t frames become temporal_stride * (1 + t), of which the first temporal_stride - 1 are dropped
    (Yu et al. 2023, section 3.2): the first latent stands for one frame, each later one for several.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_stride: int,
        temporal_stride: int,
        temporal_kernel: int = 3,
    ):
        super().__init__()
        self.spatial_stride, self.temporal_stride = spatial_stride, temporal_stride
        self.temporal = TemporalConv(in_channels, in_channels * temporal_stride, temporal_kernel)
        self.spatial = SpatialConv(in_channels, out_channels * spatial_stride**2)

    def forward(
        self, latents: Float[Tensor, "batch t h w in_channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch new_t new_h new_w out_channels"]:
        dropped = 0 if memory is not None and self.temporal in memory else self.temporal_stride - 1
        frames = self.temporal(latents, memory)
        frames = rearrange(frames, "b t h w (s c) -> b (t s) h w c", s=self.temporal_stride)
        squares = self.spatial(frames[:, dropped:])
        stride = self.spatial_stride
        return rearrange(squares, "b t h w (p q c) -> b t (h p) (w q) c", p=stride, q=stride)


class CompactEncoder(Causal):
    """Pixels in [-1, 1] to continuous latents."""

    def __init__(self, config: VideoTokenizerConfig):
        super().__init__()
        self.patch = config.patch
        widths, kernel = config.widths, config.temporal_kernel
        layers: list[nn.Module] = [SpatialConv(3 * config.patch**2, widths[0])]
        for stage, width in enumerate(widths):
            layers += [ResidualBlock(width, kernel) for _ in range(config.blocks)]
            if stage < len(widths) - 1:
                strides = config.spatial_strides[stage], config.temporal_strides[stage]
                layers.append(Downsample(width, widths[stage + 1], *strides, kernel))
        layers += [FrameNorm(widths[-1]), nn.SiLU(), SpatialConv(widths[-1], config.code_channels, kernel=1)]
        self.body = CausalSequential(*layers)

    def forward(
        self, pixels: Float[Tensor, "batch 3 frames height width"], memory: Memory | None = None
    ) -> Float[Tensor, "batch t h w code_channels"]:
        return self.body(patches_from_pixels(pixels, self.patch), memory)


class CompactDecoder(Causal):
    """Quantised latents to pixels: the encoder's mirror. Pixels may leave [-1, 1] a little."""

    def __init__(self, config: VideoTokenizerConfig):
        super().__init__()
        self.patch = config.patch
        widths, kernel = config.widths, config.temporal_kernel
        layers: list[nn.Module] = [SpatialConv(config.code_channels, widths[-1])]
        for stage in reversed(range(len(widths))):
            layers += [ResidualBlock(widths[stage], kernel) for _ in range(config.blocks)]
            if stage:
                strides = config.spatial_strides[stage - 1], config.temporal_strides[stage - 1]
                layers.append(Upsample(widths[stage], widths[stage - 1], *strides, kernel))
        layers += [FrameNorm(widths[0]), nn.SiLU(), SpatialConv(widths[0], 3 * config.patch**2)]
        self.body = CausalSequential(*layers)

    def forward(
        self, latents: Float[Tensor, "batch t h w code_channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch 3 frames height width"]:
        return pixels_from_patches(self.body(latents, memory), self.patch)
