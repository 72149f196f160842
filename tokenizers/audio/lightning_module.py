"""Training of the audio codec.

    videolm audio fit --config configs/audio/demo.yaml --out RUN

EnCodec's encoder and decoder are trained around vector-quantize-pytorch's residual quantizer, whose
codebooks (moving averages, started by k-means, dead entries revived, later levels left out at random) are
then copied into the EncodecModel. Losses on the waveform and its spectrum, and with a discriminator those of
EnCodec (Défossez et al. 2022, arXiv:2210.13438, section 3.4). Sound is taken as loud as it is: nothing
normalises it, in training or in use, so that a quiet clip stays quiet.

Codec and discriminators are updated together, from one backward pass: neither's loss reaches the other's
weights.
"""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from lightning import LightningModule
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor, distributed, nn
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio
from vector_quantize_pytorch import ResidualVQ

from ...data.media.waveform import fit_length
from ...training.ema import Weights, check_weights
from ...training.gradients import clip_gradients, gradient_norm
from ...training.group_report import group_report
from ...training.interval_means import IntervalMeans, is_reported
from ...training.muon import Groups, Muon
from ...training.processes import is_distributed, sum_over_processes
from ...training.schedule import scheduled
from ...training.skipped_steps import SkippedSteps
from ...training.step_random import drawing_from, place_of, step_generator, step_seed
from ...training.validations import Quality
from .codec import AudioTokenizer, AudioTokenizerConfig
from .discriminator import AudioAdversary, AudioDiscriminatorConfig, Balancer
from .losses import MultiScaleMelLoss, log_spectral_distance
from .unit_gain import weight_norm_of

_BETAS = (0.8, 0.99)
_SOUND = ("waveform", "squared", "mel")  # losses that fall as long as the sound gets better
_SHORTEST_PART, _LONGEST_PART = 2, 12  # hops of the parts of a spliced window


class AudioCodecTraining(LightningModule):
    """Fits an `AudioTokenizer` to the sound of clips.

    Args:
        tokenizer: sizes of the codec.
        window_hops: length of the random window of each clip that a step sees; 32 hops are 0.64 s.
        spliced: share of windows that are concatenations of short parts of the step's windows and of
            silence. A codec trained on steady notes alone learns to continue a note whatever its codes say.
        learning_rate: of AdamW, at the end of the warm-up; falls to nothing along a cosine.
        muon_learning_rate: of Muon, which takes the convolutions then (their weights' directions), along the
            same schedule; None leaves them to AdamW.
        warmup_steps: steps of linear rise.
        waveform_weight: of the mean absolute difference of samples. With a much lower weight the codec
            stays silent for long, until the spectral loss finds the pitch.
        squared_weight: of their mean squared difference.
        pre_emphasis: c of the filter x[n] - c x[n - 1] that is applied before those two losses, so that
            high, soft sounds count beside low, loud ones.
        mel_weight: of the multi-scale mel distance. With a small waveform_weight rare sounds are lost, since
            an L1 distance of logarithms is lowest at their median.
        generator_weight: of the adversarial loss, with a discriminator.
        feature_weight: of the distance of the discriminators' features, with a discriminator.
        commitment_weight: of the distance between latents and their codebook entries.
        discriminator: shape of the discriminators; None trains without.
        discriminator_learning_rate: of theirs, along the same schedule.
        balanced: the weights of the losses on the decoded sound are shares of its gradient (see `Balancer`).
        codebooks_from: step from which latents are quantized. Codebooks that start with the training get
            entries for frequent sounds only, and the decoder never learns the rare ones.
        codebook_decay: of the moving averages that the codebook entries are.
        idle_share: an entry that is used less than this share of the mean of its level is replaced by a
            latent of the step. Low, since with few latents a step most entries go unused in most steps.
        seed: of every random choice.
        max_skipped_steps: a step with a non-finite loss or gradient is skipped, and the codebooks are put
            back; after this many in a row the training ends.
    """

    watched_loss: Tensor

    def __init__(
        self,
        tokenizer: AudioTokenizerConfig,
        window_hops: int = 32,
        spliced: float = 0.0,
        learning_rate: float = 1e-3,
        muon_learning_rate: float | None = None,
        warmup_steps: int = 50,
        waveform_weight: float = 20.0,
        squared_weight: float = 400.0,
        pre_emphasis: float = 0.0,
        mel_weight: float = 1.0,
        generator_weight: float = 3.0,
        feature_weight: float = 3.0,
        commitment_weight: float = 0.25,
        discriminator: AudioDiscriminatorConfig | None = None,
        discriminator_learning_rate: float = 3e-4,
        balanced: bool = False,
        codebooks_from: int = 0,
        codebook_decay: float = 0.95,
        idle_share: float = 0.1,
        seed: int = 0,
        max_skipped_steps: int = 20,
    ):
        super().__init__()
        self.window = window_hops * tokenizer.hop_length
        self.spliced = spliced
        self.learning_rate = learning_rate
        self.muon_learning_rate = muon_learning_rate
        self.discriminator_learning_rate = discriminator_learning_rate
        self.warmup_steps = warmup_steps
        self.pre_emphasis = pre_emphasis
        self.codebooks_from = codebooks_from
        self.weights = {"waveform": waveform_weight, "squared": squared_weight, "mel": mel_weight}
        if discriminator is not None:
            self.weights |= {"generator": generator_weight, "feature": feature_weight}
        self.adversary = None if discriminator is None else AudioAdversary(discriminator)
        self.balancer = Balancer(self.weights) if balanced else None
        self.commitment_weight = commitment_weight
        self.idle_share = idle_share
        self.seed = seed
        self.tokenizer = AudioTokenizer.of_config(tokenizer)
        self._new_quantizer = partial(
            ResidualVQ,
            dim=tokenizer.hidden_size,
            codebook_size=tokenizer.codebook_size,
            num_quantizers=tokenizer.num_levels,
            decay=codebook_decay,
            kmeans_init=True,
            threshold_ema_dead_code=1,  # until `_count_uses_of` knows how many uses there are
            quantize_dropout=True,
        )
        self.quantizer = self._new_quantizer()
        self.mel = MultiScaleMelLoss(tokenizer.sample_rate)
        # No buffer: DDP would overwrite it by the first process's.
        self.used = torch.zeros(tokenizer.num_levels, tokenizer.codebook_size, dtype=torch.long)
        self.skipped_steps = SkippedSteps(max_skipped_steps)
        self.means = IntervalMeans()
        self.watched_loss = torch.zeros(())
        self._last_loss = torch.zeros(())
        self._before: tuple[int, dict[str, Tensor]] = (-1, {})
        self._reported_step = 0

    def forward(
        self, waveform: Float[Tensor, "batch 1 samples"]
    ) -> tuple[Float[Tensor, "batch 1 samples"], Int[Tensor, "batch levels frames"], Float[Tensor, ""]]:
        """The sound as it comes back, its codes (-1 for a level left out) and the commitment loss.

        Before the step `codebooks_from` all levels are left out, and the sound is of the latents themselves.
        """
        latents = self.tokenizer.latents(waveform)
        if self.global_step < self.codebooks_from:
            sizes = latents.shape[0], len(self.used), latents.shape[1]
            codes = latents.new_full(sizes, -1, dtype=torch.long)
            return self.tokenizer.synthesize(latents), codes, latents.new_zeros(())
        self._count_uses_of(latents)
        quantized, codes, commitment = self.quantizer(latents)
        decoded = self.tokenizer.synthesize(quantized)
        return decoded, rearrange(codes, "batch frames levels -> batch levels frames"), commitment.sum()

    def _count_uses_of(self, latents: Float[Tensor, "batch frames dim"]) -> None:
        """Set the count below which an entry is idle, and the count that a replaced entry starts with."""
        processes = distributed.get_world_size() if is_distributed() else 1
        for layer in self.quantizer.layers:
            codebook: Any = layer._codebook  # the library declares no types
            codebook.reset_cluster_size = latents.shape[:2].numel() * processes / codebook.codebook_size
            codebook.threshold_ema_dead_code = self.idle_share * codebook.reset_cluster_size

    def setup(self, stage: str) -> None:
        if is_distributed():
            # That codebooks follow the sounds of all processes is settled when the quantizer is built, which
            # must not be before there are several. A checkpoint's weights come later.
            self.quantizer = self._new_quantizer(sync_codebook=True)

    def on_fit_start(self) -> None:
        if self.codebooks_from and self.codebooks_from >= self.trainer.estimated_stepping_batches:
            raise ValueError(
                f"codebooks_from is {self.codebooks_from}, but there are only "
                f"{self.trainer.estimated_stepping_batches:.0f} steps; no codebook would ever be filled"
            )

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> None:
        if self._before[0] != self.global_step:  # of accumulated batches the first
            states = self.quantizer.state_dict().items()
            self._before = self.global_step, {name: value.clone() for name, value in states}

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Float[Tensor, ""]:
        place = place_of(self, batch_idx)
        generator = step_generator(self.seed, *place, self.global_rank)
        windows = random_windows(_sound(batch), self.window, generator)
        real = spliced(windows, self.spliced, self.tokenizer.hop_length, generator)
        # The library leaves out levels and revives entries by the global generators, in all processes alike.
        with drawing_from(step_seed(self.seed, *place), self.device):
            decoded, _, commitment = self(real)
        difference = decoded - real
        heard = difference[..., 1:] - self.pre_emphasis * difference[..., :-1]
        losses = {
            "waveform": heard.abs().mean(),
            "squared": heard.square().mean(),
            "mel": self.mel(decoded, real),
        }
        if self.adversary is not None:
            losses |= self.adversary.generator_losses(decoded, real)
        weighted = sum(weight * losses[name] for name, weight in self.weights.items())
        assert isinstance(weighted, Tensor)  # not the 0 of a sum of nothing
        loss = weighted if self.balancer is None else self.balancer(losses, decoded)
        loss = loss + self.commitment_weight * commitment
        losses["commitment"] = commitment
        if self.adversary is not None:
            losses["discriminator"] = self.adversary.discriminator_loss(decoded, real)
            loss = loss + losses["discriminator"]
        self._last_loss = loss.detach()
        watched = [each * losses[name].detach() for name, each in self.weights.items() if name in _SOUND]
        self.watched_loss = torch.stack(watched).sum()
        shown = weighted.detach() + self.commitment_weight * commitment.detach()
        self.means.add({**losses, "loss": shown})
        self.log("loss", shown, prog_bar=True, logger=False)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: dict[str, Any], batch_idx: int) -> None:
        """Report the means over the steps since the last report."""
        if is_reported(self, self.global_step) and self.global_step > self._reported_step:
            self._reported_step = self.global_step
            skipped = {"train/skipped_steps": self.skipped_steps.since_report()}
            self.log_dict(self.means.report() | skipped)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        sound = _sound(batch)
        hop = self.tokenizer.hop_length
        real = sound[..., : sound.shape[-1] // hop * hop]
        # If no step was made with codebooks before, they begin here, drawn by the library.
        with drawing_from(step_seed(self.seed, self.global_step, batch_idx), self.device):
            decoded, codes, _ = self(real)
        self.used = self.used.to(codes.device)
        for level, entries in enumerate(codes.unbind(1)):
            used = entries[entries >= 0]
            self.used[level] += used.bincount(minlength=self.used.shape[1])
        audible = real.abs().amax((1, 2)) > 0  # of silence the ratio is not defined
        if audible.any():
            ratio = scale_invariant_signal_distortion_ratio(decoded[audible], real[audible])
            self.log("val/si_sdr_db", ratio.mean(), batch_size=int(audible.sum()), sync_dist=True)
        self.log_dict(
            {
                "val/mel": self.mel(decoded, real),
                "val/log_spectral_distance_db": log_spectral_distance(decoded, real).mean(),
            },
            batch_size=real.shape[0],
            sync_dist=True,
        )

    def on_validation_epoch_end(self) -> None:
        for level, counts in enumerate(sum_over_processes(self.used)):
            self.log(f"val/code_use_{level}", (counts > 0).float().mean())
        self.used.zero_()

    def configure_optimizers(self) -> Any:
        if self.muon_learning_rate is None:
            weights = {"params": list(self.tokenizer.parameters()), "name": "codec"}
            optimizer = torch.optim.AdamW([weights], self.learning_rate, betas=_BETAS)
        else:
            directions = _directions(self.tokenizer)
            ids = {id(direction) for direction in directions}
            others = [each for each in self.tokenizer.parameters() if id(each) not in ids]
            rates = self.muon_learning_rate, self.learning_rate
            optimizer = Muon(Groups(directions, others), *rates, betas=_BETAS)
        if self.adversary is not None:
            judges = {"params": list(self.adversary.parameters()), "lr": self.discriminator_learning_rate}
            optimizer.add_param_group(judges | {"is_matrix": False, "name": "discriminators"})
        return scheduled(optimizer, self.warmup_steps, self.trainer.estimated_stepping_batches)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients of the codec and of the discriminators, each by its own norm.

        A step with a non-finite gradient is skipped: the codebooks, which follow the latents without one, are
        put back to what they were before it.
        """
        norm = float(gradient_norm(self.parameters()))
        if is_reported(self, self.global_step + 1):
            self.means.add(group_report(optimizer))
        if self.skipped_steps.skip_if_non_finite(self, optimizer, norm, float(self._last_loss)):
            self.quantizer.load_state_dict(self._before[1])
            return
        clip_gradients((self.tokenizer, self.adversary), gradient_clip_val, gradient_clip_algorithm)

    @property
    def codec(self) -> AudioTokenizer:
        """The codec, its codebooks as they are now."""
        codebooks = self.quantizer.codebooks
        assert isinstance(codebooks, Tensor)
        self.tokenizer.set_codebooks(codebooks)
        return self.tokenizer

    @property
    def quality(self) -> Quality:
        """By what validations are compared: those with codebooks. A discriminator makes sound clearer and the
        distance greater."""
        return Quality(
            metric="val/mel",
            words="mel distance",
            unit="",
            rises=False,
            noise=0.05,
            compared=("train/mel", "val/mel"),
            gap=1.0,
            picks=self.adversary is None,
            since=self.codebooks_from,
        )

    @rank_zero_only
    def export(self, folder: str | Path, weights: Weights | None = None) -> None:
        """Write the codec, of which there is no average, to folder/audio_tokenizer."""
        check_weights(weights, has_average=False)
        self.codec.save_pretrained(Path(folder) / "audio_tokenizer")


def random_windows(
    waveform: Float[Tensor, "batch 1 samples"], length: int, generator: torch.Generator
) -> Float[Tensor, "batch 1 length"]:
    """A random window of each sound; shorter sounds are padded with silence.

    Args:
        generator: of the CPU.
    """
    waveform = fit_length(waveform, max(length, waveform.shape[-1]))
    starts = torch.randint(waveform.shape[-1] - length + 1, (waveform.shape[0],), generator=generator)
    return torch.stack(
        [row[:, start : start + length] for row, start in zip(waveform, starts.tolist(), strict=True)]
    )


def spliced(
    windows: Float[Tensor, "batch 1 samples"], share: float, hop: int, generator: torch.Generator
) -> Float[Tensor, "batch 1 samples"]:
    """The windows, a share of them replaced by parts of any windows in a row, one part in ten silent.

    Args:
        generator: of the CPU.
    """
    if share == 0:
        return windows
    result = windows.clone()
    for row in torch.nonzero(torch.rand(len(windows), generator=generator) < share).flatten().tolist():
        start = 0
        while start < windows.shape[-1]:
            length = torch.randint(_SHORTEST_PART * hop, _LONGEST_PART * hop, (), generator=generator)
            end = start + int(length)
            source = int(torch.randint(len(windows), (), generator=generator))
            is_heard = (torch.rand((), generator=generator) >= 0.1).item()
            result[row, :, start:end] = windows[source, :, start:end] * is_heard
            start = end
    return result


def _directions(tokenizer: AudioTokenizer) -> list[nn.Parameter]:
    """The directions of the convolutions' weights that are matrices of more than one row and column."""
    kinds = (nn.Conv1d, nn.ConvTranspose1d)
    directions = (weight_norm_of(each)[1] for each in tokenizer.modules() if isinstance(each, kinds))
    return [each for each in directions if min(each.flatten(1).shape) > 1]


def _sound(batch: dict[str, Any]) -> Float[Tensor, "batch 1 samples"]:
    if "waveform" not in batch:
        raise ValueError("the clips have no sound; an audio codec needs clips with sound")
    return batch["waveform"]
