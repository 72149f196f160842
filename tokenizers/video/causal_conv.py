"""Convolutions over space and time in which no frame sees a later one.

Activations have their channels last, which is how the kernels want them, so the changes of shape in
between are views:

    activations  batch t h w channels
    spatial      (batch t) channels h w        kernel (k, k), zeros around each frame
    temporal     batch channels t (h w)        kernel (k, 1), k - 1 frames of zeros before the first
    both at once batch channels t h w          kernel (k, k, k), padded like the two

Zeros before the first frame, and nothing after the last (Yu et al. 2023, arXiv:2310.05737, section 3.2):
a temporal layer needs no more of the past than the last k - stride frames that it has seen. A `Memory`
holds these, so that a clip may come in parts: 1 + s * m frames first and any multiple of s later, where
s is the stride of the whole network, give what the clip gives as a whole.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

Memory = dict[nn.Module, Tensor]
"""The last frames that each causal layer has seen; empty before the first part of a clip."""


class Causal(nn.Module):
    """A layer that takes the memory of earlier parts of a clip, or None for a whole clip."""

    def forward(self, latents: Tensor, memory: Memory | None = None, /) -> Tensor:
        raise NotImplementedError


class CausalSequential(Causal):
    """Layers in a row, of which only the causal ones take the memory."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(
        self, latents: Float[Tensor, "batch t h w channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch new_t new_h new_w new_channels"]:
        for layer in self.layers:
            latents = layer(latents, memory) if isinstance(layer, Causal) else layer(latents)
        return latents


class PointwiseConv(nn.Linear):
    """A 1x1x1 convolution: features stand last here, so it is a linear map."""


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


class TemporalConv(Causal):
    """A causal convolution of each position over time: 1 + stride * t frames become 1 + t.

    Frame j of the result has seen the frames up to stride * j.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv2d(in_channels, out_channels, (kernel, 1), (stride, 1))

    def forward(
        self, latents: Float[Tensor, "batch t h w in_channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch new_t h w out_channels"]:
        frames = after_past(self, latents, memory)
        positions = self.conv(rearrange(frames, "b t h w c -> b c t (h w)"))
        return rearrange(positions, "b c t (h w) -> b t h w c", h=latents.shape[2])


class CausalConv3d(Causal):
    """A convolution over space and, causally, over time, with strides as the two have them."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int] = (3, 3),
        spatial_stride: int = 1,
        temporal_stride: int = 1,
    ):
        super().__init__()
        (self.kernel, size), self.stride = kernel, temporal_stride
        self.conv = nn.Conv3d(
            in_channels,
            out_channels,
            (self.kernel, size, size),
            (temporal_stride, spatial_stride, spatial_stride),
            padding=(0, size // 2, size // 2),
        )

    def forward(
        self, latents: Float[Tensor, "batch t h w in_channels"], memory: Memory | None = None
    ) -> Float[Tensor, "batch new_t new_h new_w out_channels"]:
        frames = after_past(self, latents, memory)
        return rearrange(self.conv(rearrange(frames, "b t h w c -> b c t h w")), "b c t h w -> b t h w c")


def after_past(
    layer: TemporalConv | CausalConv3d,
    latents: Float[Tensor, "batch t h w channels"],
    memory: Memory | None,
) -> Float[Tensor, "batch past_and_t h w channels"]:
    """The frames with those before them that the kernel of `layer` still sees; remembers the next ones."""
    past = None if memory is None else memory.get(layer)
    if past is None:
        past = latents.new_zeros(latents.shape[0], layer.kernel - 1, *latents.shape[2:])
    frames = torch.cat([past, latents], dim=1) if past.shape[1] else latents
    if memory is not None:
        memory[layer] = frames[:, frames.shape[1] - (layer.kernel - layer.stride) :].clone()
    return frames


class FrameNorm(nn.Module):
    """Group normalisation of each frame by itself, over its positions and the channels of each group.

    Statistics that reach over time would let a frame see later ones.
    """

    def __init__(self, channels: int, affine: bool = True, groups: int = 1):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, affine=affine)

    def forward(
        self, latents: Float[Tensor, "batch t h w channels"]
    ) -> Float[Tensor, "batch t h w channels"]:
        frames = self.norm(rearrange(latents, "b t h w c -> (b t) c h w"))
        return rearrange(frames, "(b t) c h w -> b t h w c", b=latents.shape[0])


def repeat_frames(
    latents: Float[Tensor, "batch t *shape"], times: int, is_first: bool
) -> Float[Tensor, "batch new_t *shape"]:
    """Each frame `times` times, but the very first of a clip once: 1 + t become 1 + times * t."""
    return latents.repeat_interleave(times, dim=1)[:, times - 1 if is_first else 0 :]


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
