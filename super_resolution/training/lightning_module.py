"""The Lightning module that trains a stage of super-resolution; run by `videolm super-resolution fit`."""

from pathlib import Path
from typing import Any, Literal, cast

import torch
from lightning import LightningModule
from torch import Tensor, nn

from ...lm.model.activation_checkpointing import checkpoint_layers
from ...lm.training.parallel import is_sharded, reshard, save_whole
from ...lm.training.throughput import Throughput, peak_flops
from ...training.ema import Weights, averaged, check_weights
from ...training.gradients import clip_gradients, gradient_norm
from ...training.group_report import group_report
from ...training.interval_means import IntervalMeans, is_reported
from ...training.muon import Muon, parameter_groups
from ...training.named_sums import NamedSums
from ...training.precision import is_half
from ...training.schedule import Schedule, scheduled
from ...training.skipped_steps import SkippedSteps
from ...training.validations import Quality
from ..batch import PairBatch
from ..stage_clips import PART, StageClips
from ..transformer import StageConfig, SuperResolution, SuperResolutionConfig
from .costs import pass_flops
from .loss import codes_right, loss_of
from .parallel import shard
from .shared_tables import share_bits as share_bits_of
from .starting import start_from

_ADAM_BETAS = (0.9, 0.95)


class SuperResolutionTraining(LightningModule):
    """Training of a `SuperResolution` to predict hidden codes.

    What is hidden, noisy and left out of a clip comes with it from the datamodule, as a function of the seed
    and the step. Logged are, means over the steps since the last report and all processes, the loss, nats of
    hidden and of shown codes and the gradients' norm; codes read per second and the share of the hardware's
    peak; of the last step learning rate and gradient norm of each group of weights. Validation and export use
    the EMA of the weights, if there is one.

    Args:
        model: sizes of the transformer and of its windows.
        stage: from the datamodule: sizes of the clips, tokenizers and text.
        learning_rate: of the matrices inside the layers, after the warm-up.
        adam_learning_rate: of embeddings, heads and norms, likewise.
        warmup_steps: steps of linear rise.
        schedule: "cosine" falls to zero at the last step, "wsd" stays and falls over the last
            `decay_share` of the steps, "constant" stays.
        decay_share: of "wsd".
        optimizer: "muon" orthogonalises the updates of the matrices inside the layers (see `Muon`); "adamw"
            is AdamW for all, whose `learning_rate` must be far lower.
        weight_decay: of the matrices inside the layers.
        ema_decay: share of the old average of the weights (EMA) in the new one; None keeps no average.
        activation_checkpointing: 1 recomputes the activations of all layers in the backward pass, 2 those
            of every second layer, 0 none.
        init_from: folder of a stage whose weights to start from.
        share_bits: digits of a code learn together what their bits mean (see `share_bits`); for codes of
            lookup-free quantisation.
        max_skipped_steps: a step with a non-finite loss or gradient is skipped; after this many in a row
            the training ends.
    """

    watched_loss: Tensor

    def __init__(
        self,
        model: SuperResolutionConfig,
        stage: StageClips | None,  # never None; as a union LightningCLI takes it whole from the link
        learning_rate: float = 0.02,
        adam_learning_rate: float = 3e-3,
        warmup_steps: int = 100,
        schedule: Schedule = "cosine",
        decay_share: float = 0.2,
        optimizer: Literal["muon", "adamw"] = "muon",
        weight_decay: float = 0.1,
        ema_decay: float | None = None,
        activation_checkpointing: int = 0,
        init_from: Path | None = None,
        share_bits: bool = False,
        max_skipped_steps: int = 20,
    ):
        super().__init__()
        assert stage is not None
        self.model = SuperResolution(StageConfig(model, stage))
        if init_from is not None:
            start_from(self.model, init_from)
        if share_bits:
            share_bits_of(self.model, is_trained=init_from is not None)
        self.shares_bits = share_bits
        self.average = None if ema_decay is None else averaged(self.model, ema_decay)
        checkpoint_layers(self.model.layers, activation_checkpointing)
        self.learning_rate = learning_rate
        self.adam_learning_rate = adam_learning_rate
        self.warmup_steps = warmup_steps
        self.schedule: Schedule = schedule
        self.decay_share = decay_share
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.skipped_steps = SkippedSteps(max_skipped_steps)
        self._throughput: Throughput | None = None
        self._means = IntervalMeans()
        self.watched_loss = torch.zeros(())
        self._reported_step = 0
        self._sums = NamedSums()

    @property
    def trained(self) -> SuperResolution:
        """The stage to use: with the average of the weights, if there is one."""
        return self.model if self.average is None else cast(SuperResolution, self.average.module)

    @property
    def part(self) -> str:
        """Folder of the stage in a model folder."""
        return f"{PART}/{self.model.config.clips.name}"

    def configure_model(self) -> None:
        """Divide the weights among processes, if the strategy is one that does."""
        if self.device_mesh is None or is_sharded(self.model):
            return
        if self.shares_bits:
            raise ValueError("share_bits goes with one process or --trainer.strategy ddp, not with fsdp2")
        for model in (self.model, *(() if self.average is None else (self.trained,))):
            shard(model, self.device_mesh, half=is_half(self.trainer.precision))

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        loss = loss_of(self.model, batch)
        self.watched_loss = loss.mean.detach()
        nats = loss.by_clip.mean()
        self._means.add({"loss": self.watched_loss, "nats": nats, "nats_shown": loss.shown})
        self.log("nats", nats, prog_bar=True, logger=False, batch_size=len(batch))
        self._count_work(batch)
        return loss.mean

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Measure and clip the gradients; skip the step if they are non-finite."""
        norm = float(gradient_norm(self.model.parameters()))
        self._means.add({"gradient_norm": norm})
        if is_reported(self, self.global_step + 1):
            self._means.add(group_report(optimizer))
        if not self.skipped_steps.skip_if_non_finite(self, optimizer, norm, float(self.watched_loss)):
            clip_gradients([self.model], gradient_clip_val, gradient_clip_algorithm)

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        """Average the weights after each step, and so before any checkpoint of it."""
        super().optimizer_step(*arguments, **settings)
        if self.average is not None:
            self.average.update_parameters(self.model)

    def on_train_batch_end(self, outputs: Any, batch: PairBatch, batch_idx: int) -> None:
        """Report the means and the speed since the last report."""
        if is_reported(self, self.global_step) and self.global_step > self._reported_step:
            self._reported_step = self.global_step
            means = self._means.report() | {"train/skipped_steps": self.skipped_steps.since_report()}
            self.log_dict(means, batch_size=1)
            assert self._throughput is not None
            speed = self._throughput.report(self.trainer.world_size)
            self.log_dict({f"train/{name}": value for name, value in speed.items()}, batch_size=1)

    def on_validation_start(self) -> None:
        self._sums = NamedSums()
        if self._throughput is not None:
            self._throughput.pause()

    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        loss = loss_of(self.trained, batch)
        hidden = float(batch.masked.sum())
        self._sums.add("nats", float(loss.by_clip.sum()), len(batch))
        self._sums.add("codes_right", float(codes_right(self.trained, batch)), hidden)

    def on_validation_epoch_end(self) -> None:
        """Means over the clips of all processes."""
        reshard(self.trained)
        for name, (total, count) in self._sums.of_all().items():
            self.log(f"validation/{name}", total / count, prog_bar=name == "nats", sync_dist=True)

    def configure_optimizers(self) -> Any:
        steps = self.trainer.estimated_stepping_batches
        return scheduled(self.make_optimizer(), self.warmup_steps, steps, self.schedule, self.decay_share)

    def make_optimizer(self) -> torch.optim.Optimizer:
        linear = [module for module in self.model.layers.modules() if isinstance(module, nn.Linear)]
        muon = parameter_groups(linear, self.model)
        if self.optimizer == "muon":
            return Muon(
                muon,
                self.learning_rate,
                self.adam_learning_rate,
                betas=_ADAM_BETAS,
                weight_decay=self.weight_decay,
            )
        groups = [
            {
                "name": "matrices",
                "params": muon.matrices,
                "lr": self.learning_rate,
                "weight_decay": self.weight_decay,
            },
            {
                "name": "others",
                "params": muon.others,
                "lr": self.adam_learning_rate,
                "weight_decay": 0.0,
            },
        ]
        return torch.optim.AdamW(groups, betas=_ADAM_BETAS)

    @property
    def quality(self) -> Quality:
        """By what validations are compared."""
        return Quality(
            metric="validation/nats",
            words="loss",
            unit="nats a hidden code",
            rises=False,
            noise=0.01,
            compared=("train/nats", "validation/nats"),
            gap=0.3,
        )

    def export(self, folder: str | Path, weights: Weights | None = None) -> None:
        """Write the stage into a model folder: called by all processes, of which the first one writes.

        Args:
            weights: None takes the average if there is one.
        """
        check_weights(weights, self.average is not None)
        save_whole(self.model if weights == "raw" else self.trained, Path(folder) / self.part)

    def _count_work(self, batch: PairBatch) -> None:
        if self._throughput is None:
            dtype = torch.bfloat16 if is_half(self.trainer.precision) else torch.float32
            self._throughput = Throughput(peak_flops(self.device, dtype))
            self._pass_flops = pass_flops(self.model).total
        codes = torch.tensor(float(batch.codes.numel()))
        self._throughput.step(codes, torch.tensor(3.0 * self._pass_flops * len(batch)))
