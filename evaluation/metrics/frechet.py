"""Frechet distance of two sets of features: what FVD, FID and FAD are, each with features of its own network.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))

for the means m and covariances S of the sets (Dowson and Landau 1982; Heusel et al. 2017, arXiv:1706.08500;
Unterthiner et al. 2018, arXiv:1812.01717). With A'A = S1 and B'B = S2 the trace of the root is the sum of the
singular values of AB'. No matrix is squared or inverted, so the distance is exact to about 1e-12 of the
features' variance, also for fewer clips than features, where square roots of products lose half the digits.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_SUBSETS = 12
_LEAST_SHARE = 0.5  # of the clips in the smallest subset to extrapolate from


def frechet_distance(real: Float[Tensor, "real dim"], other: Float[Tensor, "other dim"]) -> float:
    """The distance of two sets of features, in float64, with covariances divided by n - 1.

    Raises:
        ValueError: if a set has fewer than two rows, or a non-finite value.
    """
    (mean, root), (other_mean, other_root) = (_moments(features) for features in (real, other))
    between_means = (mean - other_mean).square().sum()
    overlap = torch.linalg.svdvals(root @ other_root.T).sum()
    distance = between_means + root.square().sum() + other_root.square().sum() - 2 * overlap
    return max(0.0, float(distance))  # below zero by rounding only


def extrapolated_frechet_distance(
    real: Float[Tensor, "real dim"], other: Float[Tensor, "other dim"], generator: torch.Generator
) -> float:
    """The distance that infinitely many generated clips would have.

    A set of n clips is further away by about a constant / n, so the distances of random subsets lie on a line
    over 1 / n, and its value at 0 has no such bias (Chong and Forsyth 2020, arXiv:1911.07023). The real
    set is taken as it is.

    Raises:
        ValueError: if `other` has fewer than 4 rows.
    """
    if len(other) < 4:
        raise ValueError(f"{len(other)} clips are too few to extrapolate from; expected at least 4")
    sizes = torch.linspace(_LEAST_SHARE * len(other), len(other), _SUBSETS).long().clamp(min=2)
    distances = [
        frechet_distance(real, other[torch.randperm(len(other), generator=generator)[:size]])
        for size in sizes.tolist()
    ]
    over = torch.stack([1 / sizes.double(), torch.ones(_SUBSETS, dtype=torch.float64)], dim=1)
    line = torch.linalg.lstsq(over, torch.tensor(distances, dtype=torch.float64)[:, None]).solution
    return float(line[1])


def _moments(features: Float[Tensor, "n dim"]) -> tuple[Float[Tensor, " dim"], Float[Tensor, "rank dim"]]:
    """The mean, and a triangular matrix whose square is the covariance."""
    if len(features) < 2:
        raise ValueError(f"a Frechet distance needs at least 2 clips in each set; got {len(features)}")
    if not features.isfinite().all():
        raise ValueError("features are not finite; a network with broken weights may have made them")
    rows = features.double()
    mean = rows.mean(0)
    return mean, torch.linalg.qr((rows - mean) / (len(rows) - 1) ** 0.5, mode="r").R
