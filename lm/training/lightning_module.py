"""The Lightning module that trains the language model; run by `videolm lm fit --config ...`."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ...training.ema import Weights, averaged, check_weights
from ...training.gradients import clip_gradients, gradient_norm
from ...training.group_report import group_report
from ...training.interval_means import IntervalMeans, is_reported
from ...training.muon import Groups, Muon, parameter_groups
from ...training.named_sums import NamedSums
from ...training.precision import is_half
from ...training.schedule import Schedule, scheduled
from ...training.skipped_steps import SkippedSteps
from ...training.validations import Quality
from ..batch import Batch
from ..model.activation_checkpointing import checkpoint_layers
from ..model.shared_bits import share_bits as share_bits_of
from ..model.transformer import LMConfig, PrefixLM
from ..vocabulary import Vocabulary
from .accumulation import TargetMean
from .costs import training_flops
from .finetuning import NewParts, add_low_rank, start_from
from .health import CodeUsage, head_entropies, log_histogram, watching
from .loss import Loss, loss_of, nats_by_block, nats_by_task, sums_of, tasks_of_targets
from .own_predictions import is_drawn, with_own_predictions
from .parallel import copy_weights, is_sharded, materialise, reshard, save_whole, shard
from .throughput import Throughput, peak_flops

_ADAM_BETAS = (0.9, 0.95)


class LanguageModelTraining(LightningModule):
    """Next-id training of a `PrefixLM`.

    The loss is the mean over the targets of all processes and accumulated batches. Logged are, over all
    processes and the steps since the last report, means over the targets: the loss, nats for each block of
    the vocabulary (`visual`, `audio_0`, ...) and each task; the gradients' norm, the perplexity of the target
    codes (TensorBoard and wandb also show their histogram), positions read per second and the share of the
    hardware's peak (model-FLOPs utilisation). Of the last step: the entropy of each head, and learning rate
    and gradient norm of each group of weights. Validation and export use the EMA, if there is one.

    Args:
        model: sizes of the model.
        vocabulary: from the datamodule, which has it from the tokenizers.
        learning_rate: of the matrices inside the layers, after the warm-up.
        adam_learning_rate: of embeddings, heads and norms, likewise.
        warmup_steps: steps of linear rise.
        schedule: "cosine" falls to zero at the last step, "wsd" stays and falls over the last
            `decay_share` of the steps, "constant" stays.
        decay_share: of "wsd".
        optimizer: "muon" orthogonalises the updates of the matrices inside the layers (see `Muon`); "adamw"
            is AdamW for all, whose `learning_rate` must be far lower.
        z_loss: weight of the squared log-sum-exps of the logits in what is trained (see `loss_of`).
        weight_decay: of the matrices inside the layers.
        table_weight_decay: of embeddings and heads; norms have none.
        ema_decay: share of the old average of the weights (EMA) in the new one; None keeps no average.
        activation_checkpointing: 1 recomputes the activations of all layers in the backward pass, 2 those
            of every second layer, 0 none.
        compile: compile the layers (torch.compile), which takes a minute or two at the start.
        init_from: a model folder whose weights to start from.
        lora_rank: freeze the model but for changes of this rank of the matrices in its layers, which are
            added to them when it is exported, and for blocks, names and heads that `init_from` lacks or that
            are zero there (all with AdamW at `adam_learning_rate`); 0 trains all weights.
        share_bits: digits of a code learn together what their bits mean (see `shared_bits`); for codes of
            lookup-free quantisation.
        own_predictions: share of the steps in which the first part of each sequence is what the model
            itself predicts there, and only the rest is learnt: against drift (own_predictions.py).
        max_skipped_steps: a step with a non-finite loss or gradient is skipped; after this many in a row
            the training ends.
        text_width: from the datamodule: features of a frozen encoder's embeddings of text; 0 for pieces.
        sharded: from the trainer's strategy: the weights are made in `configure_model`, by each process its
            own.
    """

    watched_loss: Tensor

    def __init__(
        self,
        model: LMConfig,
        vocabulary: Vocabulary,
        learning_rate: float = 0.02,
        adam_learning_rate: float = 3e-3,
        warmup_steps: int = 100,
        schedule: Schedule = "cosine",
        decay_share: float = 0.2,
        optimizer: Literal["muon", "adamw"] = "muon",
        z_loss: float = 0.0,
        weight_decay: float = 0.1,
        table_weight_decay: float = 0.0,
        ema_decay: float | None = None,
        activation_checkpointing: int = 0,
        compile: bool = False,
        init_from: Path | None = None,
        lora_rank: int = 0,
        share_bits: bool = False,
        own_predictions: float = 0.0,
        max_skipped_steps: int = 20,
        text_width: int = 0,
        sharded: bool = False,
    ):
        super().__init__()
        self.vocabulary, self.init_from = vocabulary, init_from
        self._drawn_from = torch.get_rng_state()  # the initial weights, whenever they are made
        with torch.device("meta") if sharded else nullcontext():
            self.model = PrefixLM(replace(model, feature_width=text_width), vocabulary)
            new = NewParts()
            if init_from is not None:
                new = start_from(self.model, vocabulary, init_from)
            if share_bits:
                share_bits_of(self.model, is_trained=init_from is not None)
            if lora_rank:
                add_low_rank(self.model, lora_rank, new)
            self.average = None if ema_decay is None else averaged(self.model, ema_decay)
        checkpoint_layers(self.model.layers, activation_checkpointing)
        if compile:
            for layer in self.model.layers:
                layer.compile()
        self.learning_rate = learning_rate
        self.adam_learning_rate = adam_learning_rate
        self.warmup_steps = warmup_steps
        self.schedule: Schedule = schedule
        self.decay_share = decay_share
        self.optimizer = optimizer
        self.z_loss = z_loss
        if not 0 <= own_predictions < 1:
            raise ValueError(f"own_predictions is {own_predictions}; expected a share from 0 to below 1")
        self.own_predictions = own_predictions
        self.weight_decay = weight_decay
        self.table_weight_decay = table_weight_decay
        self.skipped_steps = SkippedSteps(max_skipped_steps)
        self._mean = TargetMean()
        self._usage = CodeUsage()
        self._throughput: Throughput | None = None
        self._interval = IntervalMeans()
        self.watched_loss = torch.zeros(())
        self._reported_step = 0
        self._sums = NamedSums()

    @property
    def trained(self) -> PrefixLM:
        """The model to use: with the average of the weights, if there is one."""
        return self.model if self.average is None else cast(PrefixLM, self.average.module)

    def configure_model(self) -> None:
        """Divide the weights among processes, if the strategy is one that does, and make them."""
        if self.device_mesh is None or is_sharded(self.model):
            return
        if any(is_parametrized(module) for module in self.model.modules()):
            raise ValueError(
                "lora_rank and share_bits go with one process or --trainer.strategy ddp, not with fsdp2"
            )
        for model in (self.model, *(() if self.average is None else (self.trained,))):
            shard(model, self.device_mesh, half=is_half(self.trainer.precision))
        if self.model.norm.weight.is_meta:
            self._materialise(self.trainer.strategy.root_device)

    def _materialise(self, device: torch.device) -> None:
        torch.set_rng_state(self._drawn_from)
        materialise(self.model, self.vocabulary, device)
        if self.init_from is not None:
            start_from(self.model, self.vocabulary, self.init_from)
        if self.average is not None:
            self.trained.to_empty(device=device)
            copy_weights(self.trained, self.model)
            self.average.n_averaged = torch.zeros((), dtype=torch.long, device=device)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        batch = self._partly_predicted(batch)
        with watching(self.model) as hidden:
            loss = loss_of(self.model, batch, self.z_loss)
        # Means over the processes: their gradients are averaged as well.
        sums = torch.stack([loss.total.detach(), loss.weight])
        total, weight = self.trainer.strategy.reduce(sums, reduce_op="mean").unbind()
        self.watched_loss = total / weight
        self.log("loss", self.watched_loss, prog_bar=True, logger=False, batch_size=len(loss.nats))
        self._add_to_interval(loss, batch)
        self._usage.add(self.model, batch)
        self._count_work(loss, batch)
        if is_reported(self, self.global_step + 1):
            entropies = head_entropies(self.model, batch, hidden[0])
            self._interval.add({f"entropy/{name}": value for name, value in entropies.items()})
        return self._mean.loss(loss.total, weight)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Correct the accumulated gradients, measure and clip them; skip the step if they are non-finite."""
        weights = [each for group in optimizer.param_groups for each in group["params"]]
        factor = self._mean.correction(self.trainer.accumulate_grad_batches)
        norm = float(gradient_norm(weights)) * factor
        self._interval.add({"gradient_norm": norm})
        if is_reported(self, self.global_step + 1):
            self._interval.add(group_report(optimizer, factor))
        if self.skipped_steps.skip_if_non_finite(self, optimizer, norm, float(self.watched_loss)):
            return
        limit = gradient_clip_val if gradient_clip_algorithm != "value" else None
        scale = factor * (min(1.0, limit / (norm + 1e-6)) if limit else 1.0)
        if scale != 1:
            for weight in weights:
                if weight.grad is not None:
                    weight.grad.mul_(scale)
        if not limit:
            clip_gradients([self.model], gradient_clip_val, gradient_clip_algorithm)

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        """Average the weights after each step, and so before any checkpoint of it."""
        super().optimizer_step(*arguments, **settings)
        if self.average is not None:
            self.average.update_parameters(self.model)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Report what is gathered over several steps."""
        if is_reported(self, self.global_step) and self.global_step > self._reported_step:
            self._reported_step = self.global_step
            means = self._interval.report() | {"train/skipped_steps": self.skipped_steps.since_report()}
            self.log_dict(means, batch_size=1)
            perplexities, counts = self._usage.report()
            used = {f"train/code_perplexity/{name}": each for name, each in perplexities.items()}
            self.log_dict(used, batch_size=1)
            for name, each in counts.items():
                log_histogram(self.loggers, f"train/codes/{name}", each, self.global_step)
            assert self._throughput is not None
            speed = self._throughput.report(self.trainer.world_size)
            self.log("train/tokens_per_second", speed.pop("tokens_per_second"), prog_bar=True, batch_size=1)
            self.log_dict({f"train/{name}": value for name, value in speed.items()}, batch_size=1)

    def on_validation_start(self) -> None:
        self._sums = NamedSums()
        if self._throughput is not None:
            self._throughput.pause()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        loss = loss_of(self.trained, batch)
        self._sums.add("loss", loss.total.item(), loss.weight.item())
        for name, (nats, count) in self._parts(loss, batch).items():
            self._sums.add(name, nats * count, count)

    def on_validation_epoch_end(self) -> None:
        """Means over all targets of all processes, which need not have seen the same tasks."""
        reshard(self.trained)
        for name, (total, count) in self._sums.of_all().items():
            self.log(f"validation/{name}", total / count, prog_bar=name == "loss", sync_dist=True)

    def configure_optimizers(self) -> Any:
        steps = self.trainer.estimated_stepping_batches
        return scheduled(self.make_optimizer(), self.warmup_steps, steps, self.schedule, self.decay_share)

    def make_optimizer(self) -> torch.optim.Optimizer:
        linear = [module for module in self.model.layers.modules() if isinstance(module, nn.Linear)]
        frozen = any(is_parametrized(module) for module in linear)
        matrices, others, parts = parameter_groups([] if frozen else linear, self.model)
        tables = [each for each in others if each.ndim > 1 and each.requires_grad]
        others = [each for each in others if each.ndim == 1 and each.requires_grad]
        table_group = {
            "name": "tables",
            "params": tables,
            "lr": self.adam_learning_rate,
            "weight_decay": self.table_weight_decay,
        }
        if self.optimizer == "muon" and matrices:
            optimizer = Muon(
                Groups(matrices, others, parts),
                self.learning_rate,
                self.adam_learning_rate,
                betas=_ADAM_BETAS,
                weight_decay=self.weight_decay,
            )
            optimizer.add_param_group(table_group | {"is_matrix": False})
            return optimizer
        groups = [
            {
                "name": "matrices",
                "params": matrices,
                "lr": self.learning_rate,
                "weight_decay": self.weight_decay,
            },
            {"name": "others", "params": others, "lr": self.adam_learning_rate, "weight_decay": 0.0},
            table_group,
        ]
        return torch.optim.AdamW(groups, betas=_ADAM_BETAS)

    @property
    def quality(self) -> Quality:
        """By what validations are compared."""
        return Quality(
            metric="validation/loss",
            words="loss",
            unit="nats a code",
            rises=False,
            noise=0.01,
            compared=("train/task/", "validation/task/"),
            gap=0.15,
        )

    def export(self, folder: str | Path, weights: Weights | None = None) -> None:
        """Write the model to `folder`/lm: called by all processes, of which the first one writes.

        Args:
            weights: None takes the average if there is one.
        """
        check_weights(weights, self.average is not None)
        save_whole(self.model if weights == "raw" else self.trained, Path(folder) / "lm")

    def _partly_predicted(self, batch: Batch) -> Batch:
        """The batch as it is, or in some steps with the model's own predictions."""
        if not is_drawn(self.own_predictions, 0, self.global_step):
            return batch
        number = self.global_step * self.trainer.world_size + self.global_rank
        return with_own_predictions(self.model, batch, 0, number)

    def _add_to_interval(self, loss: Loss, batch: Batch) -> None:
        """Sums over the targets of a batch, by block and by task."""
        self._interval.add_sums(("loss",), loss.total.detach()[None], loss.weight[None])
        self._interval.add({"padding": batch.padding_share})
        names, of_target = tasks_of_targets(loss, batch.tasks)
        self._interval.add_sums(
            tuple(f"task/{name}" for name in names), *sums_of(loss.nats, of_target, len(names))
        )
        blocks = tuple(f"nats/{block.name}" for block in self.model.blocks)
        self._interval.add_sums(blocks, *sums_of(loss.nats, loss.block, len(blocks)))

    def _parts(self, loss: Loss, batch: Batch) -> dict[str, tuple[float, int]]:
        """Mean nats and number of targets, by block and by task."""
        names = tuple(block.name for block in self.model.blocks)
        blocks = {f"nats/{name}": part for name, part in nats_by_block(loss, names).items()}
        return blocks | {f"task/{name}": part for name, part in nats_by_task(loss, batch.tasks).items()}

    def _count_work(self, loss: Loss, batch: Batch) -> None:
        if self._throughput is None:
            dtype = torch.bfloat16 if is_half(self.trainer.precision) else torch.float32
            self._throughput = Throughput(peak_flops(self.device, dtype))
        self._throughput.step(batch.length.sum(), training_flops(self.model, batch, loss.block))
