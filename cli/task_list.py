"""What `videolm tasks` prints."""

from pathlib import Path

from ..data.runtime.text_table import text_table
from ..lm.vocabulary import Vocabulary
from ..tasks.layout import Layout
from ..tasks.model_card import summary, takes_and_makes
from ..tasks.model_config import ModelConfig
from ..tasks.recommended_sampling import RecommendedSampling
from ..tasks.task import Task, all_tasks, load_task


def describe_tasks(model: Path | None = None, task_file: Path | None = None) -> str:
    """Every task in a few lines; of a model its own, with numbers of codes for each size.

    Raises:
        FileNotFoundError, ValueError: if the model folder or the file cannot be read.
    """
    tasks = all_tasks() if task_file is None else (load_task(str(task_file)),)
    if model is None:
        return _table({task.name: _described(task) for task in tasks})
    config = ModelConfig.load(model)
    vocabulary = Vocabulary.load(model / "vocabulary.json")
    own = [task for task in tasks if task.name in config.tasks]
    sampled = {name: [f"recommended: {each}"] for name, each in RecommendedSampling.load(model).tasks.items()}
    return _table(
        {
            task.name: _described(task) + _counted(task, config, vocabulary) + sampled.get(task.name, [])
            for task in own
        }
    )


def _table(tasks: dict[str, list[str]]) -> str:
    """The lines of each task beside its name, with an empty line between tasks."""
    rows = []
    for name, (first, *others) in tasks.items():
        rows += [(name, first), *(("", line) for line in others), ("", "")]
    return "\n".join(text_table(rows[:-1], left=2))


def _described(task: Task) -> list[str]:
    return [takes_and_makes(task), summary(task)]


def _counted(task: Task, config: ModelConfig, vocabulary: Vocabulary) -> list[str]:
    """A line for each size that the task can have."""
    lines = []
    for number in task.fitting([clips.grid[0] for clips in config.formats]):
        clips = config.formats[number]
        layout = Layout.of(task, vocabulary, config.lengths_of(clips))
        generated = int(layout.weight.sum())
        given = int((layout.forced & (layout.block > 0)).sum())
        part = f", {layout.lengths.given_latents} of {layout.lengths.t} latents given" * task.has_given
        lines.append(f"{clips.name}: {given} codes given{part} and the text, {generated} generated")
    return lines
