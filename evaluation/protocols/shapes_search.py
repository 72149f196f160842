"""What the protocols of the embedded corpus score a sampling by, to choose one: clips of the training's kind.

Prompts are drawn from the combinations of colour, shape and motion that a model is trained on, by seeds of
their own; none of the held-out combinations, by which it is judged, is looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from math import sqrt
from typing import Any

from ...generation.pipeline import VideoLM
from ...lm.decoding.sampling import Sampling
from ..sampling_search import Scored
from .shapes_exam import (
    Exam,
    ExamSettings,
    HeldOut,
    corpus_of,
    generate_for,
    known_tasks,
    real_clips,
)

_APART = 7_919  # between the seeds of two sets of prompts, and from that of the training


def searchable_tasks(model: VideoLM, exam: Exam, wanted: tuple[str, ...] = ()) -> list[str]:
    """The tasks of a model whose sampling can be chosen: without a prompt nothing is asked for.

    Raises:
        ValueError: if a wanted task is not known to both the exam and the model.
    """
    return [task for task in known_tasks(model, exam, wanted) if task != "unconditional"]


def training_score(
    model: VideoLM, exam: Exam, task: str, settings: ExamSettings
) -> Callable[[Sampling, int], Scored]:
    """Scores a sampling of a task on a set of prompts: the mean of what is read from its clips.

    Clips that are right say nothing about variety: a very low temperature may score well with clips that are
    all alike.
    """
    population = corpus_of(model, settings.source, "train", settings.seed)
    training = [population.scene(index) for index in range(settings.clips)]  # for chance, which is not used

    @cache
    def real_of(prompts: int) -> HeldOut:
        return real_clips(model, replace(settings, seed=settings.seed + _APART * (prompts + 1)), "train")

    def score(sampling: Sampling, prompts: int) -> Scored:
        real = real_of(prompts)
        asked = replace(settings, sampling=sampling, seed=settings.seed + _APART * (prompts + 1))
        made = generate_for(model, task, exam.ask(model, task, real), asked, lambda part: None)
        return summary(exam.judge(model, task, made, real, training), len(made))

    return score


def summary(entries: Mapping[str, Mapping[str, Any]], clips: int) -> Scored:
    """The mean of all shares among the scores of a task.

    The standard error is that of clips in which all labels are right or wrong together, the largest that it
    can be, with one right and one wrong clip more (Laplace): four wrong ones prove little.
    """
    shares = {
        label: entry
        for label, entry in entries.items()
        if "score" in entry and "unit" not in entry and not label.endswith("_composited")
    }
    errors = [_error(each["score"], each["n"]) for each in shares.values()]
    mean = sum(each["score"] for each in shares.values()) / len(shares)
    return Scored(mean, sum(errors) / len(errors), clips)


def _error(share: float, count: int) -> float:
    likely = (share * count + 1) / (count + 2)
    return sqrt(likely * (1 - likely) / (count + 2))
