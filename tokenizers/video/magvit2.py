"""MAGVIT-v2's encoder and decoder as the paper draws them (Yu et al. 2023, arXiv:2310.05737, appendix A.1).

    encoder   conv -> [blocks, strided conv] x (stages - 1) -> blocks -> blocks -> norm, SiLU, 1x1x1 conv
    decoder   conv -> blocks -> [adaptive norm, blocks, conv, depth to space] x (stages - 1)
                   -> adaptive norm, blocks -> norm, SiLU, conv

A block of a stage that changes the width is its first. With 128 channels, multipliers (1, 2, 2, 4), 4
blocks and strides (2, 2, 2) in space, (1, 2, 2) in time the encoder has 144.9 million parameters and the
decoder 225.7. The paper's convolutions are all three-dimensional, its norms have 32 groups; here these take
their statistics from one frame at a time, since a frame must not depend on later ones.
"""

from math import gcd

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from .causal_conv import (
    Causal,
    CausalConv3d,
    CausalSequential,
    FrameNorm,
    Memory,
    PointwiseConv,
    patches_from_pixels,
    pixels_from_patches,
    repeat_frames,
)
from .config import VideoTokenizerConfig

_GROUPS = 32


def _norm(channels: int, affine: bool = True) -> FrameNorm:
    return FrameNorm(channels, affine, groups=gcd(_GROUPS, channels))


class ResidualBlock(Causal):
    """Two 3x3x3 convolutions, each after a norm and SiLU, around a skip; starts as the skip alone."""

    def __init__(self, in_channels: int, out_channels: int, temporal_kernel: int):
        super().__init__()
        last = CausalConv3d(out_channels, out_channels, (temporal_kernel, 3))
        self.body = CausalSequential(
            _norm(in_channels),
            nn.SiLU(),
            CausalConv3d(in_channels, out_channels, (temporal_kernel, 3)),
            _norm(out_channels),
            nn.SiLU(),
            last,
        )
        same = in_channels == out_channels
        self.skip = nn.Identity() if same else PointwiseConv(in_channels, out_channels)
        for parameter in last.conv.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, latents: Float[Tensor, "batch t h w in_channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch t h w out_channels"]:
        return self.skip(latents) + self.body(latents, memory)


class AdaptiveNorm(nn.Module):
    """A norm without parameters, whose scale and shift follow from the quantised latent of each frame.

    The scale is read from the deviation of the latent over its positions, the shift from its mean. Every
    frame takes them from the one latent that it decodes from.
    """

    def __init__(self, channels: int, code_channels: int):
        super().__init__()
        self.norm = _norm(channels, affine=False)
        self.scale = nn.Linear(code_channels, channels)
        self.shift = nn.Linear(code_channels, channels)

    def forward(
        self,
        latents: Float[Tensor, "batch t h w channels"],
        codes: Float[Tensor, "batch t code_h code_w code_channels"],
    ) -> Float[Tensor, "batch t h w channels"]:
        mean = codes.mean((2, 3))
        deviation = (codes.square().mean((2, 3)) - mean.square()).clamp(min=1e-6).sqrt()
        scale, shift = (line[:, :, None, None] for line in (self.scale(deviation), self.shift(mean)))
        return self.norm(latents) * (1 + scale) + shift


class Upsample(Causal):
    """A convolution to more channels, then depth to space and time; drops the first temporal_stride - 1."""

    def __init__(self, channels: int, spatial_stride: int, temporal_stride: int, temporal_kernel: int):
        super().__init__()
        self.spatial_stride, self.temporal_stride = spatial_stride, temporal_stride
        factor = temporal_stride * spatial_stride**2
        self.conv = CausalConv3d(channels, channels * factor, (temporal_kernel, 3))

    def forward(
        self, latents: Float[Tensor, "batch t h w channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch new_t new_h new_w channels"]:
        dropped = 0 if memory is not None and self.conv in memory else self.temporal_stride - 1
        cubes = self.conv(latents, memory)
        sizes = {"s": self.temporal_stride, "p": self.spatial_stride, "q": self.spatial_stride}
        return rearrange(cubes, "b t h w (s p q c) -> b (t s) (h p) (w q) c", **sizes)[:, dropped:]


class Magvit2Encoder(Causal):
    """Pixels in [-1, 1] to continuous latents."""

    def __init__(self, config: VideoTokenizerConfig):
        super().__init__()
        self.patch = config.patch
        widths, kernel = config.widths, config.temporal_kernel
        layers: list[nn.Module] = [CausalConv3d(3 * config.patch**2, widths[0], (kernel, 3))]
        before = widths[0]
        for stage, width in enumerate(widths):
            for _ in range(config.blocks):
                layers.append(ResidualBlock(before, width, kernel))
                before = width
            if stage < len(widths) - 1:
                strides = config.spatial_strides[stage], config.temporal_strides[stage]
                layers.append(CausalConv3d(width, width, (kernel, 3), *strides))
        layers += [ResidualBlock(before, before, kernel) for _ in range(config.blocks)]
        layers += [_norm(before), nn.SiLU(), CausalConv3d(before, config.code_channels, (1, 1))]
        self.body = CausalSequential(*layers)

    def forward(
        self, pixels: Float[Tensor, "batch 3 frames height width"], memory: Memory | None = None
    ) -> Float[Tensor, "batch t h w code_channels"]:
        return self.body(patches_from_pixels(pixels, self.patch), memory)


class Magvit2Decoder(Causal):
    """Quantised latents to pixels. Pixels may leave [-1, 1] a little."""

    def __init__(self, config: VideoTokenizerConfig):
        super().__init__()
        self.patch = config.patch
        widths, kernel = config.widths, config.temporal_kernel
        width = widths[-1]
        self.start = CausalSequential(
            CausalConv3d(config.code_channels, width, (kernel, 3)),
            *(ResidualBlock(width, width, kernel) for _ in range(config.blocks)),
        )
        self.norms, self.stages = nn.ModuleList(), nn.ModuleList()
        for stage in reversed(range(len(widths))):
            self.norms.append(AdaptiveNorm(width, config.code_channels))
            layers: list[nn.Module] = []
            for _ in range(config.blocks):
                layers.append(ResidualBlock(width, widths[stage], kernel))
                width = widths[stage]
            if stage:
                strides = config.spatial_strides[stage - 1], config.temporal_strides[stage - 1]
                layers.append(Upsample(width, *strides, kernel))
            self.stages.append(CausalSequential(*layers))
        self.temporal_strides = (1, *reversed(config.temporal_strides))
        self.end = CausalSequential(
            _norm(width), nn.SiLU(), CausalConv3d(width, 3 * config.patch**2, (kernel, 3))
        )

    def forward(
        self, latents: Float[Tensor, "batch t h w code_channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch 3 frames height width"]:
        is_first = not memory
        codes, hidden = latents, self.start(latents, memory)
        for norm, stage, stride in zip(self.norms, self.stages, self.temporal_strides, strict=True):
            codes = repeat_frames(codes, stride, is_first)
            hidden = stage(norm(hidden, codes), memory)
        return pixels_from_patches(self.end(hidden, memory), self.patch)
