"""The transformer encoder and decoder: pixels to latents and back.

    encoder   patches of space and time -> stage -> [merge, stage] x (stages - 1) -> norm, SiLU, linear
    decoder   linear -> stage -> [split, stage] x (stages - 1) -> norm, SiLU -> features of each frame, GELU,
              linear -> patches
    stage     + positions -> blocks
    block     x + attention within the frame, x + causal convolution over time, x + MLP

Large patches make a few positions (ViT-VQGAN, Yu et al. 2021, arXiv:2110.04627, section 3.1), and attention
lets each of them see its whole frame. With several stages the first works on smaller patches than a code
covers, whose squares are then merged, as in Swin (Liu et al. 2021, arXiv:2103.14030, section 3.1). At the
same grid a step costs less than `compact`'s, and where figures stand at known places of the frame, as in
sprites, it learns faster. Only the convolutions over time see other frames, and only earlier ones, so clips
may come in parts as with the other networks (causal_conv.py).
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from .causal_conv import (
    Causal,
    CausalSequential,
    Memory,
    PointwiseConv,
    TemporalConv,
    patches_from_pixels,
    pixels_from_patches,
)
from .config import VideoTokenizerConfig

_FREQUENCIES = 16  # of a sine and a cosine for each axis; the longest wave has 2 * _LONGEST positions
_LONGEST = 64


class FrameAttention(nn.Module):
    """x + attention among the positions of each frame."""

    def __init__(self, channels: int, head_channels: int = 32):
        super().__init__()
        self.heads = max(channels // head_channels, 1)
        self.norm = nn.LayerNorm(channels)
        self.query, self.key, self.value = (PointwiseConv(channels, channels, bias=False) for _ in range(3))
        self.output = _zeroed(PointwiseConv(channels, channels))

    def forward(
        self, latents: Float[Tensor, "batch t h w channels"]
    ) -> Float[Tensor, "batch t h w channels"]:
        batch, _, height = latents.shape[:3]
        frames = rearrange(self.norm(latents), "b t h w c -> (b t) (h w) c")
        heads = (
            rearrange(project(frames), "n p (h c) -> n h p c", h=self.heads)
            for project in (self.query, self.key, self.value)
        )
        seen = rearrange(F.scaled_dot_product_attention(*heads), "n h p c -> n p (h c)")
        return latents + rearrange(self.output(seen), "(b t) (h w) c -> b t h w c", b=batch, h=height)


class TransformerBlock(Causal):
    """Attention within each frame, a causal convolution over time, an MLP; starts as the identity."""

    def __init__(self, channels: int, temporal_kernel: int, attention: bool = True, expansion: int = 4):
        super().__init__()
        self.attention = FrameAttention(channels) if attention else nn.Identity()
        self.temporal_norm = nn.LayerNorm(channels)
        self.temporal = TemporalConv(channels, channels, temporal_kernel)
        self.mlp = nn.Sequential(
            nn.LayerNorm(channels),
            PointwiseConv(channels, expansion * channels),
            nn.GELU(),
            _zeroed(PointwiseConv(expansion * channels, channels)),
        )
        _zeroed(self.temporal.conv)

    def forward(
        self, latents: Float[Tensor, "batch t h w channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch t h w channels"]:
        latents = self.attention(latents)
        latents = latents + self.temporal(F.silu(self.temporal_norm(latents)), memory)
        return latents + self.mlp(latents)


class Positions(nn.Module):
    """x + a learned function of row and column: a linear map of their sines and cosines, for any grid."""

    def __init__(self, channels: int):
        super().__init__()
        self.project = PointwiseConv(4 * _FREQUENCIES, channels)

    def forward(
        self, latents: Float[Tensor, "batch t h w channels"]
    ) -> Float[Tensor, "batch t h w channels"]:
        return latents + self.project(_waves(latents.shape[2], latents.shape[3], latents))


def _waves(height: int, width: int, like: Tensor) -> Float[Tensor, "height width waves"]:
    """Sines and cosines of the places, the wavelengths between 2 and 2 * _LONGEST positions."""
    grid = height, width
    lengths = torch.logspace(0, math.log2(_LONGEST), _FREQUENCIES, base=2, device=like.device)
    turns = [torch.arange(size, device=like.device)[:, None] * (torch.pi / lengths) for size in grid]
    rows, columns = (torch.cat([turn.sin(), turn.cos()], dim=1) for turn in turns)
    rows, columns = rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)
    return torch.cat([rows, columns], dim=-1).to(like.dtype)


class PatchUpsample(Causal):
    """The mirror of the patches: features of each frame of a latent, then its pixels.

    1 + t latents become temporal_stride * (1 + t) frames, of which the first temporal_stride - 1 are dropped:
    the first latent stands for one frame (Yu et al. 2023, arXiv:2310.05737, section 3.2).
    """

    def __init__(self, channels: int, temporal_stride: int, patch_channels: int):
        super().__init__()
        self.temporal_stride = temporal_stride
        self.temporal = TemporalConv(channels, channels * temporal_stride, 1)
        self.pixels = PointwiseConv(channels, patch_channels)

    def forward(
        self, latents: Float[Tensor, "batch t h w channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch frames h w patch_channels"]:
        dropped = 0 if memory is not None and self.temporal in memory else self.temporal_stride - 1
        frames = self.temporal(latents, memory)
        frames = rearrange(frames, "b t h w (s c) -> b (t s) h w c", s=self.temporal_stride)
        return self.pixels(F.gelu(frames[:, dropped:]))


class Merge(nn.Module):
    """A linear map of each square of `stride` x `stride` positions to one."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.project = PointwiseConv(in_channels * stride**2, out_channels)

    def forward(
        self, latents: Float[Tensor, "batch t h w in_channels"]
    ) -> Float[Tensor, "batch t new_h new_w out_channels"]:
        side = self.stride
        return self.project(rearrange(latents, "b t (h p) (w q) c -> b t h w (p q c)", p=side, q=side))


class Split(nn.Module):
    """The mirror of `Merge`: a linear map of each position to a square of them."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.project = PointwiseConv(in_channels, out_channels * stride**2)

    def forward(
        self, latents: Float[Tensor, "batch t h w in_channels"]
    ) -> Float[Tensor, "batch t new_h new_w out_channels"]:
        side = self.stride
        return rearrange(self.project(latents), "b t h w (p q c) -> b t (h p) (w q) c", p=side, q=side)


class VitEncoder(Causal):
    """Pixels in [-1, 1] to continuous latents."""

    def __init__(self, config: VideoTokenizerConfig):
        super().__init__()
        self.patch = config.patch
        first, *later = config.widths
        layers = [TemporalConv(3 * config.patch**2, first, config.temporal_patch, config.temporal_patch)]
        layers += _stage(config, first, config.blocks)
        for before, width, stride in zip(config.widths, later, config.spatial_strides, strict=False):
            layers += [Merge(before, width, stride), *_stage(config, width, config.blocks)]
        last = config.widths[-1]
        self.body = CausalSequential(
            *layers, nn.LayerNorm(last), nn.SiLU(), PointwiseConv(last, config.code_channels)
        )

    def forward(
        self, pixels: Float[Tensor, "batch 3 frames height width"], memory: Memory | None = None
    ) -> Float[Tensor, "batch t h w code_channels"]:
        return self.body(patches_from_pixels(pixels, self.patch), memory)


class VitDecoder(Causal):
    """Quantised latents to pixels: the encoder's mirror. Pixels may leave [-1, 1] a little."""

    def __init__(self, config: VideoTokenizerConfig):
        super().__init__()
        self.patch = config.patch
        blocks = config.decoder_blocks or config.blocks
        first, *later = config.widths[::-1]
        layers = [PointwiseConv(config.code_channels, first), *_stage(config, first, blocks)]
        for before, width, stride in zip(
            config.widths[::-1], later, config.spatial_strides[::-1], strict=False
        ):
            layers += [Split(before, width, stride), *_stage(config, width, blocks)]
        last = config.widths[0]
        self.body = CausalSequential(
            *layers,
            nn.LayerNorm(last),
            nn.SiLU(),
            PatchUpsample(last, config.temporal_patch, 3 * config.patch**2),
        )

    def forward(
        self, latents: Float[Tensor, "batch t h w code_channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch 3 frames height width"]:
        return pixels_from_patches(self.body(latents, memory), self.patch)


def _stage(config: VideoTokenizerConfig, channels: int, blocks: int) -> list[nn.Module]:
    """Positions and blocks."""
    positions = [Positions(channels)] if config.attention else []
    shape = channels, config.temporal_kernel, config.attention
    return [*positions, *(TransformerBlock(*shape) for _ in range(blocks))]


def _zeroed(layer: PointwiseConv | nn.Conv2d) -> PointwiseConv | nn.Conv2d:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
