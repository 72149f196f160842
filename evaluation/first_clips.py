"""One clip of each task of a model, beside the real one, without scores: what a model can do, in seconds."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..data.runtime.progress import progress
from ..data.synthetic.corpus import Corpus, corpus_scenes
from ..generation.pipeline import VideoLM
from ..lm.decoding.sampling import Sampling
from ..super_resolution.low_resolution import enlarged, reduced
from .evaluate_model import write_examples, write_shown
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


def write_enlarged_clips(
    model: VideoLM, folder: Path, *, source: str, seed: int, clips: int = 2
) -> list[dict[str, Any]]:
    """Held-out clips reduced to the model's size, and enlarged twice: bicubically and by the model's stages.

    Args:
        folder: for the clips, as `write_examples`.
        source: name of the embedded corpus that clips are drawn from.

    Returns:
        As `write_examples`, of the "task" upscale; empty if no stage makes clips twice as large.
    """
    own, twice = model.config.clips, (2 * model.config.clips.height, 2 * model.config.clips.width)
    stages = [each for each in model.upscaler.stages if (each.large.height, each.large.width) == twice]
    if not stages:
        return []
    reads_text = any(each.has_text for each in stages)
    corpus = Corpus(
        height=twice[0], width=twice[1], num_frames=own.num_frames, fps=own.fps,
        scenes=corpus_scenes(source), split="triples", seed=seed,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    examples = []
    for index in range(clips):
        true = corpus[index].silent()
        low = replace(true, frames=reduced(true.frames, 2))
        kinds = {
            "given": low,
            "bicubic": replace(low, frames=enlarged(low.frames, 2)),
            "made": model.upscale(low, text=true.caption if reads_text else None, seed=seed),
            "real": true,
        }
        shown = [write_shown(clip, folder, f"upscale-{index}-{kind}", kind) for kind, clip in kinds.items()]
        examples.append(
            {"task": "upscale", "text": true.caption or "", "clips": [asdict(each) for each in shown]}
        )
    return examples
