"""How near a reconstruction is to its clip."""

from jaxtyping import Float, UInt8
from torch import Tensor


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
