"""The best of several clips: the one that fits its text best, or that shows known pixels best.

How well a clip fits a text is judged by the reader of the embedded corpus (`DescribedFit`) or by a CLIP model
from a local folder (`ClipFit`). `nearest_known` compares paintings with the given video and needs no text.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from ..data.media.clip import Clip
from ..data.media.psnr import psnr
from ..data.synthetic.caption_grammar import CAMERA_PHRASES, MOTION_PHRASES
from ..data.synthetic.describing import describe
from ..data.synthetic.scene import COLOURS, SHAPES
from ..lm.decoding.sampling import Sampling
from ..tasks.masks import Mask
from ..tokenizers.text.clip_similarity import ClipSimilarity
from .pipeline import VideoLM
from .prompt import Prompt
from .prompt_rows import composited
from .run_request import DESCRIBE
from .seeds import Seeds, seeds_of

_FRAMES = 8  # that CLIP is shown
_WORD = re.compile(r"\w+")
_BYSTANDER = re.compile(" past a small \\w+ \\w+ ")


@runtime_checkable
class Fit(Protocol):
    """How well a clip fits a text; more is better."""

    def __call__(self, clip: Clip, text: str) -> float: ...


def fit_of(judge: str) -> Fit:
    """The judge of a name: "describe", or the folder of a CLIP model.

    Raises:
        FileNotFoundError, ValueError: if there is no such folder, or no CLIP model in it.
    """
    return DescribedFit() if judge == DESCRIBE else ClipFit(judge)


def best(tries: Sequence[Clip], text: str | None, fit: Fit) -> Clip:
    """The clip that fits the text best; the first one if several fit equally well.

    Raises:
        ValueError: if there is no text.
    """
    if text is None:
        raise ValueError("best_of compares clips with their text; give one")
    return max(tries, key=lambda clip: fit(clip, text))


def nearest_known(tries: Sequence[Clip], given: Clip, known: Mask) -> Clip:
    """The painting with the highest PSNR over the known pixels, before these are put back.

    The PSNR is the mean over the frames that have known pixels. The model generates known and unknown pixels
    together, so an object painted in the wrong place or phase is wrong in its known part as well.
    """
    some = known.flatten(1).any(1)
    return max(tries, key=lambda clip: float(psnr(given.frames[some], clip.frames[some], known[some]).mean()))


@torch.no_grad()
def paint_best(
    model: VideoLM,
    task: str,
    prompts: Sequence[Prompt],
    tries: int,
    *,
    seed: Seeds,
    sampling: Sampling | None = None,
    batch_size: int = 32,
    progress: Callable[[float], None] | None = None,
    composite: bool = True,
) -> list[Clip]:
    """As `VideoLM.generate_batch`, of so many paintings of each prompt the one that `nearest_known` chooses.

    Args:
        tries: paintings of each prompt.
        seed: of the first try of each prompt; the next has the next.
        progress: called with the number of paintings done.

    Raises:
        ValueError: as `VideoLM.generate`, and if the task is not one that paints.
    """
    rows, _ = model.rows_of(model.config.task(task), prompts, sampling)
    if any(row.known is None for row in rows):
        raise ValueError(f"task {task} paints nothing; there are no known pixels to compare")
    made = model.generate_batch(
        task,
        [prompt for prompt in prompts for _ in range(tries)],
        seed=[first + own for first in seeds_of(seed, len(prompts)) for own in range(tries)],
        sampling=sampling,
        batch_size=batch_size,
        progress=progress,
        composite=False,
    )
    chosen = []
    for number, row in enumerate(rows):
        assert row.given is not None and row.known is not None
        clip = nearest_known(made[number * tries : (number + 1) * tries], row.given, row.known)
        chosen.append(composited(clip, row.given, row.known) if composite else clip)
    return chosen


class DescribedFit:
    """The share of the text's words (colour, shape, motion, camera) that `describe` reads in the clip.

    Ties are broken by the reader's confidence, which counts less than any word.
    """

    def __call__(self, clip: Clip, text: str) -> float:
        wanted = wanted_words(text)
        found = describe(clip)
        right = sum(getattr(found, label) == word for label, word in wanted.items())
        sure = sum(found.confidence.get(label, 0.0) for label in wanted)
        return (right + 0.01 * sure / len(wanted)) / len(wanted)


class ClipFit:
    """Mean cosine between the text and frames of the clip, by a CLIP model from a local folder.

    Raises:
        FileNotFoundError: if there is no such folder; nothing is downloaded.
        ValueError: if it holds no CLIP model.
    """

    def __init__(self, folder: str | Path):
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"there is no folder {folder} with a CLIP model (or say describe)")
        self.similarity = ClipSimilarity(folder)

    def __call__(self, clip: Clip, text: str) -> float:
        chosen = torch.linspace(0, clip.num_frames - 1, min(_FRAMES, clip.num_frames)).round().long()
        return float(self.similarity(clip.frames[chosen], text))


def wanted_words(text: str) -> dict[str, str]:
    """As `words_in`, of a text that names something.

    Raises:
        ValueError: if `describe` can judge nothing by it.
    """
    if not (words := words_in(text)):
        raise ValueError(
            f"{text[:60]!r} names no colour, shape or motion of the embedded corpus, by which "
            "--judge describe chooses; --judge FOLDER chooses by a CLIP model"
        )
    return words


def words_in(text: str) -> dict[str, str]:
    """Colour, shape, motion and camera that a text in the corpus' words names, in any case and order."""
    told = f" {' '.join(_WORD.findall(text.lower()))} "
    camera, verb = _phrase_in(told, CAMERA_PHRASES)
    told = _BYSTANDER.sub(" ", told.replace(verb, " "))
    words = told.split()
    found = {
        "colour": next((word for word in words if word in COLOURS), None),
        "shape": next((word for word in words if word in SHAPES), None),
        "motion": _phrase_in(told, MOTION_PHRASES)[0],
        "camera": camera,
    }
    return {label: word for label, word in found.items() if word is not None}


def _phrase_in(text: str, phrases: dict[str, tuple[str, ...]]) -> tuple[str | None, str]:
    """The longest phrase that the text holds, after what it means: "falls and bounces" is no "falls"."""
    found = [(name, f" {each} ") for name, told in phrases.items() for each in told if f" {each} " in text]
    return max(found, key=lambda pair: len(pair[1])) if found else (None, " ")
