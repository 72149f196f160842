"""Inception score: do a classifier's answers differ from clip to clip, and is it sure of each?"""

import torch
from jaxtyping import Float
from torch import Tensor


def inception_score(
    logits: Float[Tensor, "clips classes"], splits: int = 1, generator: torch.Generator | None = None
) -> tuple[float, float]:
    """exp of the mean divergence of a clip's answer from the mean answer; mean and deviation over splits.

    Salimans et al. 2016, arXiv:1606.03498, section 4; for videos Saito et al. 2017, arXiv:1611.06624. From 1
    (the classifier says the same of all) to the number of classes. It grows with the number of clips.

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
    log_answers = logits.log_softmax(1)
    log_mean = log_answers.logsumexp(0) - torch.tensor(float(len(logits)), dtype=torch.float64).log()
    return (log_answers.exp() * (log_answers - log_mean)).sum(1).mean().exp()
