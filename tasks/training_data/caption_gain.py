"""Do captions help? What the language model predicts with a clip's own caption and with another clip's.

    gain = nats a code, given the caption of another clip  -  nats a code, given the clip's own

Why not against no caption at all, as guidance uses it? The rows without text are a tenth of the training: a
model that pays no attention to captions may still be worse at these, and the difference would pass for
understanding. A caption of another clip is read like the own one, and fits the clip only by chance. Of a
model that does not follow captions the gain is zero but for the noise, whatever it was trained on. Of one
that does, the gain is above the information that captions give, as a wrong caption also misleads.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from ...lm.batch import Batch
from ...lm.model.transformer import PrefixLM
from ...lm.training.loss import loss_of, nats_by_example
from ..task import Task
from .clip_pools import first_caption, usable
from .lm_datamodule import LMDataModule
from .mixture import Draw

_MOST_CLIPS = 32


class CaptionGain(Callback):
    """Logs validation/caption_gain and its standard error, of held-out clips, at each validation.

    Nothing is logged where no task has a text, or the held-out clips have not two different captions. Every
    process computes it of the same clips.
    """

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        module: Any = pl_module
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        with trainer.precision_plugin.val_step_context():
            gains = caption_gains(module.trained, data)
        if gains is None:
            return
        error = gains.std() / len(gains) ** 0.5
        scores = {"validation/caption_gain": gains.mean(), "validation/caption_gain_error": error}
        module.log_dict(scores, batch_size=len(gains), sync_dist=True)


def caption_gains(model: PrefixLM, data: LMDataModule) -> Float[Tensor, " clips"] | None:
    """Nats a code that each held-out clip's own caption saves, next to another clip's; None if none is."""
    if (task := task_with_text(data.mixture.tasks)) is None:
        return None
    pool = usable(data.validation_set, data.validation, task).tolist()
    size = data.validation_set.size_of(pool[0]) if pool else 0
    pool = [index for index in pool if data.validation_set.size_of(index) == size][:_MOST_CLIPS]
    captions = [first_caption(data.validation_set, index) for index in pool]
    pairs = [
        (index, own, other)
        for index, own, other in zip(pool, captions, others(captions), strict=True)
        if own is not None and other is not None
    ]
    draw, gains = Draw(task, size=size), []
    rows = data.rows(draw)
    for start in range(0, len(pairs), rows):
        part = pairs[start : start + rows]
        own_nats = _nats(model, data, draw, [(index, own) for index, own, _ in part])
        other_nats = _nats(model, data, draw, [(index, other) for index, _, other in part])
        gains.append(other_nats - own_nats)
    return torch.cat(gains) if len(pairs) > 1 else None


def task_with_text(tasks: Sequence[Task]) -> Task | None:
    """The task whose clips follow captions most: one that must have a text, of videos if there is one."""
    with_text = [task for task in tasks if task.text != "none"]
    return min(
        with_text,
        key=lambda task: (task.text != "required", len(task.needs), task.makes_image),
        default=None,
    )


def others(captions: Sequence[str | None]) -> list[str | None]:
    """For each caption the next different one, in a circle; None if there is none."""
    found: list[str | None] = []
    for place, own in enumerate(captions):
        following = [*captions[place + 1 :], *captions[:place]]
        found.append(next((each for each in following if each is not None and each != own), None))
    return found


@torch.no_grad()
def _nats(
    model: PrefixLM, data: LMDataModule, draw: Draw, rows: Sequence[tuple[int, str]]
) -> Float[Tensor, " clips"]:
    examples = [data.maker.example(draw, data.validation_set[index], caption) for index, caption in rows]
    batch = Batch.collate(examples).to(next(model.parameters()).device)
    return nats_by_example(loss_of(model, batch), len(rows)).float()
