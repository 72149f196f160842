"""Inception score: high if a classifier is certain of each clip and its predictions vary over the clips."""

import torch
from jaxtyping import Float
from torch import Tensor


def inception_score(
    logits: Float[Tensor, "clips classes"], splits: int = 1, generator: torch.Generator | None = None
) -> tuple[float, float]:
    """exp of the mean KL divergence of a clip's prediction from the mean prediction.

    Salimans et al. 2016, arXiv:1606.03498, section 4; for videos Saito et al. 2017, arXiv:1611.06624. From 1
    (equal predictions for all clips) to the number of classes. It grows with the number of clips.

    Returns:
        The mean and the standard deviation over splits.

    Args:
        splits: parts into which the clips are divided, in random order if there is a generator.

    Raises:
        ValueError: if there are fewer clips than splits.
    """
    if not 1 <= splits <= len(logits):
        raise ValueError(f"{len(logits)} clips cannot be divided into {splits} parts")
    order = torch.arange(len(logits))
    if generator is not None:
        order = torch.randperm(len(logits), generator=generator)
    scores = torch.stack([_score(part) for part in logits.double()[order].tensor_split(splits)])
    return float(scores.mean()), float(scores.std(correction=0))


def _score(logits: Float[Tensor, "clips classes"]) -> Float[Tensor, ""]:
    log_predictions = logits.log_softmax(1)
    log_mean = log_predictions.logsumexp(0) - torch.tensor(float(len(logits)), dtype=torch.float64).log()
    return (log_predictions.exp() * (log_predictions - log_mean)).sum(1).mean().exp()
