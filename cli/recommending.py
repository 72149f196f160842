"""What `videolm sampling` does: print what a model folder recommends, and change it."""

from pathlib import Path

from ..data.runtime.one_writer import only_writer
from ..data.runtime.text_table import text_table
from ..lm.decoding.sampling import Sampling
from ..tasks.model_config import ModelConfig
from ..tasks.recommended_sampling import SAMPLING, RecommendedSampling


def table(folder: Path) -> str:
    """A line for each task of a model folder.

    Raises:
        FileNotFoundError, ValueError: if it is none, or damaged.
    """
    recommended = RecommendedSampling.load(folder).tasks
    tasks = ModelConfig.load(folder).tasks
    rows = [(task, str(recommended.get(task, "")) or "the defaults") for task in tasks]
    return "\n".join(text_table(rows, ("task", "recommended"), left=2))


def recommend(folder: Path, task: str | None, sampling: Sampling, clear: bool = False) -> list[Path]:
    """Change what a model folder recommends; returns the file.

    Args:
        task: to change; None only to clear all of them.
        sampling: what it gives is set, and the rest stays.
        clear: forget first what is recommended.

    Raises:
        FileNotFoundError, ValueError: as `table`, and if the task is none of the model's or cannot be sampled
            in this way.
    """
    tasks = ModelConfig.load(folder).tasks
    if task is None and sampling.given:
        raise ValueError(f"give the task (--task) that {sampling} is recommended for: {', '.join(tasks)}")
    with only_writer(folder):
        before = RecommendedSampling.load(folder)
        if clear:
            before = before.of_tasks([] if task is None else [name for name in tasks if name != task])
        if task is not None:
            said = RecommendedSampling.of({task: sampling.given}, tasks, "what is to be recommended")
            before = said.over(before)
        before.save(folder)
    return [folder / SAMPLING] if (folder / SAMPLING).is_file() else []
