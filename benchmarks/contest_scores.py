"""How near reconstructions are to held-out clips, and which codes they went through."""

import math

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from videolm.data.media.pixels import pixels_from_frames
from videolm.tokenizers.video.lfq import code_statistics

from .measuring import Record

# A pixel moves where a channel differs by more from the frame before; coding noise stays mostly below.
MOVING_LEVELS = 16


def scores(
    frames: UInt8[Tensor, "clips frames height width 3"],
    reconstruction: Float[Tensor, "clips 3 frames height width"],
    groups: list[str],
    codes: Int[Tensor, " codes"],
    codebook_size: int,
) -> Record:
    """PSNR over all pixels and over moving ones, of all clips and of each group, and the use of codes.

    Args:
        reconstruction: pixels in [-1, 1]; what is outside is cut off, as on writing a file.
        groups: of each clip.
        codes: of all clips.
    """
    error = (reconstruction.clamp(-1, 1) - pixels_from_frames(frames)).square().mean(1)
    moves = moving(frames)
    parts = {"all": list(range(len(groups)))}
    parts |= {name: [i for i, each in enumerate(groups) if each == name] for name in sorted(set(groups))}
    quality = {
        name: {"psnr_db": psnr(error[clips]), "moving_psnr_db": psnr(error[clips][moves[clips]])}
        for name, clips in parts.items()
    }
    counts = torch.bincount(codes, minlength=codebook_size)
    return {
        "quality": quality,
        "moving_share": moves.float().mean().item(),
        "codes": codes.numel(),
        "distinct_codes": int((counts > 0).sum()),
        "perplexity": code_statistics(counts)["perplexity"],
    }


def moving(
    frames: UInt8[Tensor, "clips frames height width 3"],
) -> Bool[Tensor, "clips frames height width"]:
    """Pixels that differ from the frame before by more than MOVING_LEVELS of 255; none in the first frame."""
    change = frames.to(torch.int16).diff(dim=1).abs().amax(-1) > MOVING_LEVELS
    return torch.cat([torch.zeros_like(change[:, :1]), change], dim=1)


def psnr(squared_error: Float[Tensor, "*pixels"]) -> float | None:
    """Of the mean error of all these pixels in [-1, 1], in decibels; None without pixels."""
    if not squared_error.numel():
        return None
    return round(10 * math.log10(4 / max(squared_error.mean().item(), 1e-10)), 4)
