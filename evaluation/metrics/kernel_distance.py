"""Kernel distance of two sets of features: less biased by small sets than the Frechet distance."""

import torch
from jaxtyping import Float
from torch import Tensor


def kernel_distance(real: Float[Tensor, "real dim"], other: Float[Tensor, "other dim"]) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x . y / dim + 1)^3, over the whole sets.

    KID in images (Binkowski et al. 2018, arXiv:1801.01401, section 4), KVD in videos. Its expectation is 0
    for two sets of the same distribution, so it may be slightly negative.

    Raises:
        ValueError: if a set has fewer than two rows.
    """
    if min(len(real), len(other)) < 2:
        raise ValueError(f"a kernel distance needs at least 2 clips a set; got {len(real)} and {len(other)}")
    one, two = real.double(), other.double()
    return float(_within(one) + _within(two) - 2 * _kernel(one, two).mean())


def _within(rows: Float[Tensor, "n dim"]) -> Float[Tensor, ""]:
    """The mean over pairs of different rows."""
    kernel = _kernel(rows, rows)
    return (kernel.sum() - kernel.diagonal().sum()) / (len(rows) * (len(rows) - 1))


def _kernel(one: Float[Tensor, "n dim"], two: Float[Tensor, "m dim"]) -> Float[Tensor, "n m"]:
    return torch.pow(one @ two.T / one.shape[1] + 1, 3)
