"""Convolutions over space and time in which no frame sees a later one.

A 3-D convolution is factorised into one over space and one over time. Both run as 2-D convolutions: on
a CPU these are several times faster than 3-D ones. Activations have their channels last, which is how
the kernels want them, so the changes of shape in between are views:

    activations  batch t h w channels
    spatial      (batch t) channels h w        kernel (k, k), zeros around each frame
    temporal     batch channels t (h w)        kernel (k, 1), k - 1 frames of zeros before the first

Zeros before the first frame, and nothing after the last (Yu et al. 2023, arXiv:2310.05737, section 3.2):
a temporal layer needs no more of the past than the last k - stride frames that it has seen, which is
all that streaming has to keep.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


class SpatialConv(nn.Module):
    """A convolution of each frame on its own; the kernel is odd."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2)

    def forward(
        self, latents: Float[Tensor, "batch t h w in_channels"]
    ) -> Float[Tensor, "batch t new_h new_w out_channels"]:
        frames = self.conv(rearrange(latents, "b t h w c -> (b t) c h w"))
        return rearrange(frames, "(b t) c h w -> b t h w c", b=latents.shape[0])


class TemporalConv(nn.Module):
    """A causal convolution of each position over time: 1 + stride * t frames become 1 + t.

    Frame j of the result has seen the frames up to stride * j.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1):
        super().__init__()
        self.context = kernel - 1
        self.conv = nn.Conv2d(in_channels, out_channels, (kernel, 1), (stride, 1))

    def forward(
        self, latents: Float[Tensor, "batch t h w in_channels"]
    ) -> Float[Tensor, "batch new_t h w out_channels"]:
        past = latents.new_zeros(latents.shape[0], self.context, *latents.shape[2:])
        frames = torch.cat([past, latents], dim=1)
        positions = self.conv(rearrange(frames, "b t h w c -> b c t (h w)"))
        return rearrange(positions, "b c t (h w) -> b t h w c", h=latents.shape[2])


class FrameNorm(nn.Module):
    """Normalisation of each frame by the mean and variance over its channels and positions.

    Statistics that reach over time would let a frame see later ones.
    """

    def __init__(self, channels: int, affine: bool = True):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels, affine=affine)

    def forward(
        self, latents: Float[Tensor, "batch t h w channels"]
    ) -> Float[Tensor, "batch t h w channels"]:
        frames = self.norm(rearrange(latents, "b t h w c -> (b t) c h w"))
        return rearrange(frames, "(b t) c h w -> b t h w c", b=latents.shape[0])


class Downsample(nn.Module):
    """Fewer positions, then fewer frames: 1 + temporal_stride * t frames become 1 + t."""

    def __init__(self, in_channels: int, out_channels: int, spatial_stride: int, temporal_stride: int):
        super().__init__()
        self.spatial = SpatialConv(in_channels, out_channels, stride=spatial_stride)
        self.temporal = TemporalConv(out_channels, out_channels, stride=temporal_stride)

    def forward(
        self, latents: Float[Tensor, "batch t h w in_channels"]
    ) -> Float[Tensor, "batch new_t new_h new_w out_channels"]:
        return self.temporal(self.spatial(latents))


class Upsample(nn.Module):
    """The mirror of `Downsample`: convolutions to more channels, then depth to time and to space.

    1 + t frames become temporal_stride * (1 + t), of which the first temporal_stride - 1 are dropped
    (Yu et al. 2023, section 3.2): the first latent stands for one frame, each later one for several.
    """

    def __init__(self, in_channels: int, out_channels: int, spatial_stride: int, temporal_stride: int):
        super().__init__()
        self.spatial_stride, self.temporal_stride = spatial_stride, temporal_stride
        self.temporal = TemporalConv(in_channels, in_channels * temporal_stride)
        self.spatial = SpatialConv(in_channels, out_channels * spatial_stride**2)

    def forward(
        self, latents: Float[Tensor, "batch t h w in_channels"]
    ) -> Float[Tensor, "batch new_t new_h new_w out_channels"]:
        stride = self.temporal_stride
        latents = rearrange(self.temporal(latents), "b t h w (s c) -> b (t s) h w c", s=stride)
        latents = self.spatial(latents[:, stride - 1 :])
        stride = self.spatial_stride
        return rearrange(latents, "b t h w (p q c) -> b t (h p) (w q) c", p=stride, q=stride)


def patches_from_pixels(
    pixels: Float[Tensor, "batch 3 frames height width"], patch: int
) -> Float[Tensor, "batch frames h w patch_channels"]:
    """Space to depth: each patch x patch square becomes the channels of one position."""
    return rearrange(pixels, "b c t (h p) (w q) -> b t h w (p q c)", p=patch, q=patch)


def pixels_from_patches(
    patches: Float[Tensor, "batch frames h w patch_channels"], patch: int
) -> Float[Tensor, "batch 3 frames height width"]:
    """The inverse of `patches_from_pixels`."""
    return rearrange(patches, "b t h w (p q c) -> b c t (h p) (w q)", p=patch, q=patch)
