"""The last lines of a fit: what it has reached, what would help next, and the commands that follow."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from ..data.runtime.progress import WHOLE
from ..training.run_news import RunNews
from .next_command import next_commands
from .stages import Stage


def closing_words(
    stage: Stage, part: str, trainer: Trainer, news: RunNews, step: int, out: Path, data: dict[str, Any]
) -> list[str]:
    """The last lines of a fit.

    Args:
        part: of the model folder that was written.
        step: that the exported model is of.
        out: the run folder.
        data: settings of the stage's data.
    """
    lines = []
    findings = news.findings(trainer)
    module: Any = trainer.lightning_module
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    if findings.reached is not None:
        lines.append(findings.reached)
    which = f"of step {step:,}"
    if step != trainer.global_step:
        which += f", the best of {len(findings.validations)} validations (--keep-best false takes the last)"
    lines.append(f"{out / 'model' / part} is {which}")
    lines += findings.closing()
    at = max((number for number, each in enumerate(findings.validations) if each.step <= step), default=None)
    if stage.found is not None and at is not None and findings.reached is not None:
        scores, train = findings.validations[at].scores, findings.train[at]
        lines += stage.found(module, datamodule, scores, train)
    lines = [f"{stage.name}: {line}" for line in lines]
    if WHOLE.get() is not None:  # the commands of a longer job follow of themselves
        return lines
    caption = _caption(datamodule) if stage.name == "lm" else None
    return [*lines, *(f"next: {line}" for line in next_commands(stage.name, data, out, caption))]


def _caption(datamodule: Any) -> str | None:
    """A held-out clip's, if the model was trained to make videos for captions."""
    from ..tasks.training_data.clip_pools import texts

    if "text_to_video" not in datamodule.tasks:
        return None
    clips = datamodule.validation_set
    found = (text for index in datamodule.validation for text in texts(clips, index))
    return next(found, None)
