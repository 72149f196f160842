"""Scores of clips of the embedded corpus by what `describe` reads in them.

A score is the share of clips in which the right word was read; an abstention counts as wrong. Beside it
stands `chance`, the score of a model that ignores its prompt and imitates the training set: the agreement
of the prompts' words with those of unrelated training clips.
"""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

import torch

from ...data.media.clip import Clip
from ...data.runtime.import_path import isolate
from ...data.synthetic.describing import Description, describe
from ...data.synthetic.scene import CAMERAS, COLOURS, MOTIONS, PITCHES, SHAPES, Scene
from .entropy import entropy_bits

LABELS = {
    "colour": tuple(COLOURS),
    "shape": tuple(SHAPES),
    "motion": tuple(MOTIONS),
    "camera": tuple(CAMERAS),
    "pitch": tuple(PITCHES),
}
_FEW = 64  # clips that are read sooner than other processes have started


def describe_all(clips: Sequence[Clip]) -> list[Description]:
    """`describe` of each clip, by as many processes as there are processors."""
    if len(clips) < _FEW:
        return [describe(clip) for clip in clips]
    return list(_readers().map(describe, clips, chunksize=8))


@cache
def _readers() -> ProcessPoolExecutor:
    isolate()
    return ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), torch.set_num_threads, (1,))


def words_of(scenes: Sequence[Scene], label: str) -> list[str]:
    """What each scene shows, of one kind of label."""
    return [getattr(scene, label) for scene in scenes]


def word_scores(
    labels: Sequence[str],
    scenes: Sequence[Scene],
    readings: Sequence[Description],
    training: Sequence[Scene],
) -> dict[str, Any]:
    """`score` by label; camera is scored where it moves, and left out where it never does."""
    scores = {}
    for label in labels:
        found = [getattr(reading, label) for reading in readings]
        wanted, population = words_of(scenes, label), words_of(training, label)
        if label == "camera":
            moving = [index for index, word in enumerate(wanted) if word != "still"]
            wanted, found = [wanted[index] for index in moving], [found[index] for index in moving]
        if wanted:
            scores[label] = score(wanted, found, population)
    return scores


def score(
    wanted: Sequence[str], found: Sequence[str | None], population: Sequence[str]
) -> dict[str, float | int]:
    """Share of right words, the chance level and the number of clips.

    Args:
        wanted: the word of each prompt.
        found: the word read in each clip; None where `describe` abstained.
        population: words of clips of the training set.
    """
    if not wanted or len(wanted) != len(found):
        raise ValueError(f"{len(wanted)} words wanted, {len(found)} found; expected as many, at least one")
    right = sum(word == reading for word, reading in zip(wanted, found, strict=True))
    return {"score": right / len(wanted), "chance": agreement(wanted, population), "n": len(wanted)}


def agreement(words: Sequence[str], population: Sequence[str]) -> float:
    """The chance that a word drawn from each is the same."""
    ours, theirs = Counter(words), Counter(population)
    return sum(ours[word] * theirs[word] for word in ours) / (len(words) * len(population))


def variety(found: Sequence[str | None], label: str) -> float:
    """Entropy of the words read, as a share of the largest possible; 0 if nothing was read."""
    kinds = LABELS[label]
    counts = torch.tensor([list(found).count(kind) for kind in kinds])
    return entropy_bits(counts) / entropy_bits(torch.ones_like(counts)) if counts.sum() else 0.0
