"""The transformer encoder and decoder: pixels to latents and back.

    encoder   patches of space and time -> + positions -> blocks -> norm, SiLU, linear
    decoder   linear -> + positions -> blocks -> norm, SiLU -> features of each frame, GELU, linear -> patches
    block     x + attention within the frame, x + causal convolution over time, x + MLP

Large patches make a few positions (ViT-VQGAN, Yu et al. 2021, arXiv:2110.04627, section 3.1), attention lets
each of them see its whole frame, and all blocks work on the grid of the codes. At the same grid a step costs
less than `compact`'s, and where figures stand at known places of the frame, as in sprites, it learns faster.
Only the convolutions over time see other frames, and only earlier ones, so clips may come in parts as with
the other networks (causal_conv.py).
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


class VitEncoder(Causal):
    """Pixels in [-1, 1] to continuous latents."""

    def __init__(self, config: VideoTokenizerConfig):
        super().__init__()
        self.patch = config.patch
        channels = config.channels
        self.body = CausalSequential(
            TemporalConv(3 * config.patch**2, channels, config.temporal_patch, config.temporal_patch),
            *_body(config, config.blocks),
            nn.LayerNorm(channels),
            nn.SiLU(),
            PointwiseConv(channels, config.code_channels),
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
        channels = config.channels
        self.body = CausalSequential(
            PointwiseConv(config.code_channels, channels),
            *_body(config, config.decoder_blocks or config.blocks),
            nn.LayerNorm(channels),
            nn.SiLU(),
            PatchUpsample(channels, config.temporal_patch, 3 * config.patch**2),
        )

    def forward(
        self, latents: Float[Tensor, "batch t h w code_channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch 3 frames height width"]:
        return pixels_from_patches(self.body(latents, memory), self.patch)


def _body(config: VideoTokenizerConfig, blocks: int) -> list[nn.Module]:
    """Positions and blocks."""
    positions = [Positions(config.channels)] if config.attention else []
    shape = config.channels, config.temporal_kernel, config.attention
    return [*positions, *(TransformerBlock(*shape) for _ in range(blocks))]


def _zeroed(layer: PointwiseConv | nn.Conv2d) -> PointwiseConv | nn.Conv2d:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
