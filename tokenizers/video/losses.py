"""Reconstruction losses and PSNR of the video tokenizer."""

import torch
from jaxtyping import Float
from torch import Tensor


def reconstruction_losses(
    reconstruction: Float[Tensor, "batch 3 frames height width"],
    pixels: Float[Tensor, "batch 3 frames height width"],
) -> dict[str, Float[Tensor, ""]]:
    """Squared, absolute and edge errors, each a mean.

    The squared error (Yu et al. 2023, arXiv:2310.05737, appendix A.2) blurs what it is unsure of. The
    absolute error keeps flat areas flat, and the error of the differences between neighbouring pixels
    weighs outlines, which cover few pixels and say what shape is seen.
    """
    error = reconstruction.float() - pixels.float()
    return {
        "squared": error.square().mean(),
        "absolute": error.abs().mean(),
        "edges": error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean(),
    }


def psnr(
    reconstruction: Float[Tensor, "batch 3 frames height width"],
    pixels: Float[Tensor, "batch 3 frames height width"],
) -> Float[Tensor, "batch frames"]:
    """Peak signal-to-noise ratio of each frame in decibels, for pixels in [-1, 1], at most 100."""
    error = (reconstruction.float().clamp(-1, 1) - pixels.float()).square().mean((1, 3, 4))
    return -10 * torch.log10((error / 4).clamp(min=1e-10))
