"""One clip of each task of a model, beside the real one, without scores: what a model can do, in seconds."""

from pathlib import Path
from typing import Any

from ..data.runtime.progress import progress
from ..generation.pipeline import VideoLM
from ..lm.decoding.sampling import Sampling
from .evaluate_model import write_examples
from .protocols.shapes_all import EXAM, leading
from .protocols.shapes_exam import ExamSettings, Result, known_tasks, real_clips


def write_first_clips(model: VideoLM, folder: Path, *, source: str, seed: int) -> list[dict[str, Any]]:
    """Generate one clip with each task that "shapes-all" knows, from a held-out clip of its own.

    Jacobi decoding chooses the ids that sequential decoding would, in fewer passes.

    Args:
        folder: for the clips, as `write_examples`.
        source: name of the embedded corpus that prompts are drawn from.

    Returns:
        The examples, as `write_examples`.

    Raises:
        ValueError: if there is no embedded corpus of that name.
    """
    tasks = known_tasks(model, EXAM, ())
    real = real_clips(model, ExamSettings(source, len(tasks), seed), "triples")
    examples = []
    with progress("first clips", len(tasks)) as report:
        for number, task in enumerate(tasks):
            own = real.part(number, 1)
            made = model.generate_batch(
                task, EXAM.ask(model, task, own), seed=seed, sampling=Sampling(decoding="jacobi")
            )
            led_by = {task: leading(model, task, own)}
            examples += write_examples(Result({}, {own.split: own}, {task: made}, led_by), folder)
            report(number + 1)
    return examples
