"""How near a reconstruction is to its clip, frame by frame: PSNR, SSIM and LPIPS."""

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ...data.media.pixels import pixels_from_frames
from ...data.media.psnr import psnr

# Of every frame of clips "3 frames height width" with pixels in [-1, 1], such as Lpips.distance; less is
# better.
FrameDistance = Callable[[Tensor, Tensor], Tensor]

_FRAMES_AT_ONCE = 16
_SSIM_LEAST_SIZE = 6  # the smallest frames that its window, mirrored at the edges, fits


def frame_quality(
    real: UInt8[Tensor, "frames height width 3"],
    other: UInt8[Tensor, "frames height width 3"],
    lpips: FrameDistance | None = None,
) -> dict[str, Float[Tensor, " frames"]]:
    """psnr_db, ssim (of frames that are large enough for it) and, if asked for, lpips of every frame.

    A few frames at a time: SSIM holds many copies of what it compares.
    """
    metrics: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"psnr_db": psnr}
    if min(real.shape[1:3]) >= _SSIM_LEAST_SIZE:
        metrics["ssim"] = ssim
    if lpips is not None:
        metrics["lpips"] = lambda one, two: lpips(pixels_from_frames(one), pixels_from_frames(two))
    parts = list(zip(real.split(_FRAMES_AT_ONCE), other.split(_FRAMES_AT_ONCE), strict=True))
    return {name: torch.cat([metric(*part) for part in parts]) for name, metric in metrics.items()}


def worst(name: str, values: Float[Tensor, "*frames"]) -> float:
    """The worst of the scores of one metric of `frame_quality`."""
    return float(values.max() if name == "lpips" else values.min())


def lpips_distance(weights: Path | None) -> FrameDistance | None:
    """LPIPS by a file of weights; None without one.

    Raises:
        FileNotFoundError, ValueError: if the file cannot be used.
    """
    if weights is None:
        return None
    from ...tokenizers.video.perceptual import read_lpips

    return read_lpips(weights).distance


def ssim(
    real: UInt8[Tensor, "frames height width 3"], other: UInt8[Tensor, "frames height width 3"]
) -> Float[Tensor, " frames"]:
    """Structural similarity of every frame: 11x11 Gaussian window, mean over the channels.

    Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity".
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    images, others = (frames.permute(0, 3, 1, 2).float() for frames in (real, other))
    values = structural_similarity_index_measure(others, images, data_range=255.0, reduction="none")
    assert isinstance(values, Tensor)
    return values.reshape(-1)
