import math

import pytest
import torch

from videolm.evaluation.metrics.frechet import extrapolated_frechet_distance, frechet_distance
from videolm.evaluation.metrics.inception_score import inception_score
from videolm.evaluation.metrics.kernel_distance import kernel_distance


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def exactly(mean: torch.Tensor, covariance: torch.Tensor, n: int = 400, seed: int = 0) -> torch.Tensor:
    """Rows whose own mean and covariance are these, not those of a distribution that they come from."""
    rows = normal(n, len(mean), seed=seed)
    rows = rows - rows.mean(0)
    white = rows @ torch.linalg.inv(torch.linalg.cholesky(rows.T.cov())).T
    return white @ torch.linalg.cholesky(covariance).T + mean


def some_covariance(dim: int, seed: int) -> torch.Tensor:
    root = normal(dim, dim, seed=seed)
    return root @ root.T + 0.1 * torch.eye(dim, dtype=torch.float64)


def root(matrix: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T


def test_distance_of_gaussians_with_commuting_covariances_is_that_of_means_and_deviations() -> None:
    one, two = torch.tensor([1.0, 4.0, 9.0]).double(), torch.tensor([4.0, 1.0, 0.25]).double()
    real = exactly(torch.zeros(3).double(), torch.diag(one))
    other = exactly(torch.tensor([1.0, -2.0, 0.5]).double(), torch.diag(two), seed=1)
    expected = 1 + 4 + 0.25 + float((one.sqrt() - two.sqrt()).square().sum())
    assert frechet_distance(real, other) == pytest.approx(expected, rel=1e-10)


def test_distance_of_any_gaussians_is_the_textbook_formula() -> None:
    one, two = some_covariance(6, 1), some_covariance(6, 2)
    means = normal(2, 6, seed=3)
    cross = root(root(one) @ two @ root(one))
    expected = (means[0] - means[1]).square().sum() + torch.trace(one + two - 2 * cross)
    found = frechet_distance(exactly(means[0], one), exactly(means[1], two, seed=5))
    assert found == pytest.approx(float(expected), rel=1e-9)


def test_distance_is_that_of_torchmetrics() -> None:
    from torchmetrics.image.fid import _compute_fid

    real, other = normal(300, 20), 1.5 * normal(200, 20, seed=1) @ some_covariance(20, 4) + 0.3
    theirs = _compute_fid(real.mean(0), real.T.cov(), other.mean(0), other.T.cov())
    assert frechet_distance(real, other) == pytest.approx(float(theirs), rel=1e-8)


def test_distance_is_that_of_a_square_root_by_scipy() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    real, other = normal(100, 12), normal(80, 12, seed=1) @ some_covariance(12, 4)
    product = (real.T.cov() @ other.T.cov()).numpy()
    trace = torch.trace(real.T.cov() + other.T.cov()) - 2 * linalg.sqrtm(product).real.trace()
    expected = float((real.mean(0) - other.mean(0)).square().sum() + trace)
    assert frechet_distance(real, other) == pytest.approx(expected, rel=1e-8)


def test_a_shift_costs_its_square_also_with_fewer_clips_than_features() -> None:
    real = normal(10, 50)
    shift = normal(50, seed=1)
    found = frechet_distance(real, real[torch.randperm(10)] + shift)
    assert found == pytest.approx(float(shift.square().sum()), rel=1e-12)
    assert frechet_distance(real, real) < 1e-12 * float(real.square().sum())


def test_float32_features_lose_nothing_by_a_large_mean() -> None:
    real, other = normal(500, 8), 2 * normal(500, 8, seed=1)
    shifted = frechet_distance((real + 1000).float(), (other + 1000).float())
    assert shifted == pytest.approx(frechet_distance(real, other), rel=1e-3)


def test_extrapolation_takes_most_of_the_bias_of_few_clips_away() -> None:
    real = normal(20_000, 8)
    biased, extrapolated = [], []
    for seed in range(1, 6):
        other = normal(100, 8, seed=seed)
        biased.append(frechet_distance(real, other))
        generator = torch.Generator().manual_seed(seed)
        extrapolated.append(extrapolated_frechet_distance(real, other, generator))
    assert sum(biased) / 5 > 0.2
    assert abs(sum(extrapolated) / 5) < 0.3 * sum(biased) / 5


@pytest.mark.parametrize(
    ("rows", "message"),
    [(torch.ones(1, 3), "at least 2 clips"), (torch.tensor([[1.0], [math.nan]]), "not finite")],
)
def test_a_distance_of_nothing_is_refused(rows: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_distance(torch.ones(4, rows.shape[1]), rows)


def test_kernel_distance_is_the_mean_over_pairs() -> None:
    real, other = normal(5, 3), normal(4, 3, seed=1)

    def mean(pairs: list) -> float:
        return sum(float((one @ two / 3 + 1) ** 3) for one, two in pairs) / len(pairs)

    def within(rows: torch.Tensor) -> float:
        return mean([(a, b) for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j])

    expected = within(real) + within(other) - 2 * mean([(a, b) for a in real for b in other])
    assert kernel_distance(real, other) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_of_one_distribution_is_zero_on_average() -> None:
    pairs = [(normal(30, 4, seed=number), normal(30, 4, seed=number + 99)) for number in range(40)]
    found = torch.tensor([kernel_distance(*pair) for pair in pairs])
    assert abs(found.mean()) < 3 * found.std() / 40**0.5
    assert kernel_distance(normal(30, 4), normal(30, 4, seed=1) + 1) > 5 * found.std()


def test_inception_score_of_sure_and_even_answers_is_the_number_of_classes() -> None:
    sure = 100 * torch.eye(5).repeat(4, 1)
    assert inception_score(sure)[0] == pytest.approx(5, rel=1e-6)
    assert inception_score(100 * torch.eye(5)[[2] * 8])[0] == pytest.approx(1)
    assert inception_score(torch.zeros(8, 5))[0] == pytest.approx(1)


def test_inception_score_is_its_formula() -> None:
    logits = normal(50, 7)
    answers = logits.softmax(1)
    expected = (answers * (answers / answers.mean(0)).log()).sum(1).mean().exp()
    assert inception_score(logits)[0] == pytest.approx(float(expected), rel=1e-9)


def test_splits_of_an_inception_score_are_scored_apart() -> None:
    logits = normal(40, 7)
    parts = [inception_score(part)[0] for part in logits.split(10)]
    mean, deviation = inception_score(logits, splits=4)
    assert mean == pytest.approx(sum(parts) / 4)
    assert deviation == pytest.approx(float(torch.tensor(parts).std(correction=0)), rel=1e-4)
    with pytest.raises(ValueError, match="3 clips cannot be divided into 4 parts"):
        inception_score(logits[:3], splits=4)
