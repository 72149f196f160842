"""Pictures of what the language model generates while it is trained.

trainer:
  callbacks:
    - class_path: videolm.tasks.training_data.sample_callback.SampleCallback
      init_args: {every: 500}
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor

from ...data.media.contact_sheet import sheet
from ...data.media.pixels import frames_from_pixels
from ...data.runtime.files import replacing
from ...lm.batch import Batch
from ...lm.decoding.generate import generate
from ...lm.model.transformer import PrefixLM
from .clip_pools import first_caption, usable
from .lm_datamodule import LMDataModule
from .mixture import Draw


class SampleCallback(Callback):
    """Write samples/step-000500.png now and then: one clip for every task that makes video.

    They are of the average of the weights (EMA), if there is one, as the exported model is. Codes are drawn
    as the model is to recommend (`data.recommended_sampling`). Prompts are held-out clips.
    Prompts and random numbers are the same every time, so that pictures differ only by what has been learnt.

    The first validation has a picture too: it comes early in a long training (training/validation_steps.py).

    Args:
        every: steps between two pictures; None writes one at each validation.
    """

    def __init__(self, every: int | None = 500):
        if every is not None and every < 1:
            raise ValueError(f"every is {every}; expected at least 1 step")
        self.every = every
        self.last = 0
        self.has_first, self.is_fit = False, False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.is_fit = stage == "fit"
        if isinstance(trainer.strategy, ModelParallelStrategy):
            raise ValueError("SampleCallback cannot generate with sharded weights: remove it from the config")

    def state_dict(self) -> dict[str, Any]:
        return {"has_first": self.has_first}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.has_first = state_dict["has_first"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.last = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.every is not None and trainer.global_step >= self.last + self.every:
            self.last = trainer.global_step
            self._write(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.is_fit or trainer.sanity_checking:
            return
        if trainer.global_step > self.last and (self.every is None or not self.has_first):
            # Lightning validates in inference mode; what a model keeps of it, no training can use.
            with torch.inference_mode(False):
                self._write(trainer, pl_module)
        self.has_first = True

    def _write(self, trainer: Trainer, module: Any) -> None:
        if trainer.is_global_zero:
            path = Path(trainer.default_root_dir) / "samples" / f"step-{trainer.global_step:06d}.png"
            write_samples(module.trained, trainer.datamodule, path)  # type: ignore[attr-defined]


def write_samples(model: PrefixLM, data: LMDataModule, path: Path) -> None:
    """Generate one clip for every task that makes video and write them as one picture."""
    was_training = model.training
    model.eval()
    rows = []
    for task in data.mixture.tasks:
        pool = usable(data.validation_set, data.validation, task).tolist()
        if pool and "visual" in {portion.kind for portion in task.outputs}:
            draw = Draw(task, size=data.validation_set.size_of(pool[0]))
            frames, caption = _sample(model, data, draw, pool[0])
            words = caption if caption is not None and task.text != "none" else ""
            rows.append((frames, f"{task.name}: {words}" if words else task.name))
    model.train(was_training)
    if rows:
        with replacing(path) as temporary:
            sheet(rows).save(temporary)


@torch.no_grad()
def _sample(
    model: PrefixLM, data: LMDataModule, draw: Draw, index: int
) -> tuple[UInt8[Tensor, "frames height width 3"], str | None]:
    caption = first_caption(data.validation_set, index)
    clip, maker = data.validation_set[index], data.maker
    layout, prompt = maker.prompt(draw, clip, caption)
    has_text = bool(maker.text(draw.task, caption))
    settings = data.recommended.settings(draw.task.name, text=has_text)
    device = next(model.parameters()).device
    unguided = None
    if settings.guidance_scale != 1:
        unguided = Batch.collate([maker.prompt(draw, clip, None)[1]]).to(device)
    generator = torch.Generator(device).manual_seed(0)
    ids = generate(model, Batch.collate([prompt]).to(device), settings, [generator], unguided)
    codes = layout.unpack(ids[0].cpu())["visual"]
    tokenizer = data.encoder.video
    pixels = tokenizer.decode(codes[None].to(next(tokenizer.parameters()).device))
    return frames_from_pixels(pixels)[0].cpu(), caption
