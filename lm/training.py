"""Training of the language model on batches of records; run by `videolm lm fit --config ...`."""

import time
from pathlib import Path
from typing import Any

from lightning import LightningModule
from torch import Tensor, nn

from ..data.optimisation import Muon, parameter_groups, scheduled
from .batch import Batch
from .loss import Loss, loss_of, nats_by_block, nats_by_task
from .transformer import LMConfig, PrefixLM
from .vocabulary import Vocabulary


class LanguageModelTraining(LightningModule):
    """Next-id training of a `PrefixLM`.

    Logged are the loss, nats for each block of the vocabulary (`visual`, `audio_0`, ...) and each task,
    and positions read per second.

    Args:
        model: sizes of the model.
        vocabulary: from the datamodule, which has it from the tokenizers.
        learning_rate: of the matrices inside the layers (see `Muon`) after the warm-up; falls along a cosine
            to zero at the last step.
        adam_learning_rate: of embeddings, heads and norms, likewise.
        warmup_steps: steps of linear rise.
        weight_decay: of the matrices inside the layers.
    """

    def __init__(
        self,
        model: LMConfig,
        vocabulary: Vocabulary,
        learning_rate: float = 0.02,
        adam_learning_rate: float = 3e-3,
        warmup_steps: int = 100,
        weight_decay: float = 0.1,
    ):
        super().__init__()
        self.model = PrefixLM(model, vocabulary)
        self.learning_rate = learning_rate
        self.adam_learning_rate = adam_learning_rate
        self.warmup_steps = warmup_steps
        self.weight_decay = weight_decay
        self._last_step: float | None = None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = loss_of(self.model, batch)
        # The mean over all processes' targets (DDP then averages the gradients of the processes).
        weight = self.trainer.strategy.reduce(loss.weight, reduce_op="mean")
        self._report("train", loss, batch)
        self._report_speed(batch)
        return loss.total / weight

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._report("validation", loss_of(self.model, batch), batch)

    def configure_optimizers(self) -> Any:
        matrices = [module for module in self.model.layers.modules() if isinstance(module, nn.Linear)]
        optimizer = Muon(
            parameter_groups(matrices, self),
            self.learning_rate,
            self.adam_learning_rate,
            weight_decay=self.weight_decay,
        )
        return scheduled(optimizer, self.warmup_steps, self.trainer.estimated_stepping_batches)

    def export(self, folder: str | Path) -> None:
        """Write the model to `folder`/lm."""
        self.model.save_pretrained(Path(folder) / "lm")

    def _report(self, stage: str, loss: Loss, batch: Batch) -> None:
        targets = len(loss.nats)
        self.log(f"{stage}/loss", loss.mean.detach(), prog_bar=True, batch_size=targets)
        names = tuple(block.name for block in self.model.blocks)
        parts = {f"{stage}/nats/{name}": part for name, part in nats_by_block(loss, names).items()}
        parts |= {f"{stage}/task/{name}": part for name, part in nats_by_task(loss, batch.tasks).items()}
        for name, (nats, count) in parts.items():
            self.log(name, nats, batch_size=count)

    def _report_speed(self, batch: Batch) -> None:
        now = time.perf_counter()
        if self._last_step is not None:
            speed = float(batch.length.sum()) / (now - self._last_step)
            self.log("train/tokens_per_second", speed, prog_bar=True, batch_size=1)
        self._last_step = now
