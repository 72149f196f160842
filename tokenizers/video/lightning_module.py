"""Training of the video tokenizer.

    videolm tokenizer fit --config demo --out RUN

The losses are of reconstruction, commitment and entropy. The entropy loss starts stronger and is annealed,
which brings large codebooks into use. A discriminator adds an adversarial loss, the weights of a pretrained
vision network a perceptual one (Yu et al. 2023, arXiv:2310.05737, appendix A.2).

Tokenizer and discriminator are updated together, from one backward pass of the sum of their losses, as
in the paper's code: neither's loss reaches the other's weights. One optimizer holds both in groups with
learning rates of their own, so Lightning's own loop unscales (fp16), clips, accumulates and counts steps
as for any other module; only the clipping is done for each network by itself.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from lightning import LightningModule
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from PIL import Image
from torch import Tensor, nn

from ...data.media.pixels import frames_from_pixels, pixels_from_frames
from ...data.runtime.files import replacing
from ...training.ema import Weights, averaged
from ...training.gradients import clip_gradients, gradient_norm
from ...training.group_report import group_report
from ...training.interval_means import IntervalMeans, is_reported
from ...training.muon import Muon, parameter_groups
from ...training.schedule import scheduled
from ...training.skipped_steps import SkippedSteps
from ...training.step_random import place_of, step_generator
from ...training.validations import Quality
from .adversarial import Adversary, PenaltyForm
from .causal_conv import PointwiseConv
from .code_counts import CodeCounts
from .config import VideoTokenizerConfig
from .discriminator import DiscriminatorConfig
from .inflation import DISCRIMINATOR, start_discriminator, start_from
from .lfq import saturated_bits
from .losses import psnr, reconstruction_losses
from .perceptual import perceptual_loss
from .video_tokenizer import VideoTokenizer

_PICTURED_CLIPS = 6
_DISCRIMINATOR_BETAS = (0.0, 0.99)  # of Adam, as in the paper
_RECONSTRUCTION = ("squared", "absolute", "edges", "perceptual")  # they fall as long as frames get better


class VideoTokenizerTraining(LightningModule):
    """Fits a `VideoTokenizer` to the frames of clips.

    What is validated and exported is the running average of the weights.

    Args:
        tokenizer: shape of the network and its codes.
        learning_rate: of the convolutions (see `Muon`) at the end of the warm-up; falls to nothing along
            a cosine.
        adam_learning_rate: of norms and biases, likewise.
        warmup_steps: steps of linear rise.
        squared_weight: of the mean squared error.
        absolute_weight: of the mean absolute error.
        edge_weight: of the mean absolute error of the differences between neighbouring pixels.
        commitment_weight: of the distance between latents and their codes.
        entropy_weight: of the entropy of a latent's code less that of all codes, after the annealing.
        entropy_start: how many times stronger that weight is at the start.
        entropy_steps: steps over which it falls to `entropy_weight`.
        temperature: softness of the codes in the entropies.
        temperature_end: the temperature after a linear change over `entropy_steps`; None keeps it.
        ema_decay: share of the old average of the weights in the new one, after a start at which the
            average is over about the last tenth of all steps.
        discriminator: shape of a discriminator; None trains without.
        discriminator_learning_rate: of the discriminator (Adam), along the same schedule.
        adversarial_weight: of the tokenizer's adversarial loss.
        gradient_penalty: the discriminator's: "exact" by second derivatives in float32 (`gradient_penalty`),
            or "noise" by one more forward pass in the precision of the training (`noise_penalty`).
        gradient_penalty_weight: of it, of both forms.
        gradient_penalty_every: steps between two steps with it, in which it counts as many times as much.
        lecam_weight: of `LeCam`.
        perceptual: a folder of a ResNet or a file of LPIPS weights (see `perceptual_loss`); None goes
            without.
        perceptual_weight: of that loss.
        perceptual_frames: random frames of each clip that the perceptual loss sees; None is all frames.
        init_from: folder of a video tokenizer to start from, with the discriminator beside it if one was
            trained. Those of single images are inflated.
        max_skipped_steps: consecutive steps with a non-finite loss or gradient after which the training
            ends; each of them is skipped.
        seed: of every random choice of a step.
    """

    watched_loss: Tensor

    def __init__(
        self,
        tokenizer: VideoTokenizerConfig,
        learning_rate: float = 0.02,
        adam_learning_rate: float = 3e-3,
        warmup_steps: int = 50,
        squared_weight: float = 5.0,
        absolute_weight: float = 1.0,
        edge_weight: float = 1.0,
        commitment_weight: float = 0.25,
        entropy_weight: float = 0.02,
        entropy_start: float = 3.0,
        entropy_steps: int = 300,
        temperature: float = 1.0,
        temperature_end: float | None = None,
        ema_decay: float = 0.999,
        discriminator: DiscriminatorConfig | None = None,
        discriminator_learning_rate: float = 1e-4,
        adversarial_weight: float = 0.1,
        gradient_penalty: PenaltyForm = "exact",
        gradient_penalty_weight: float = 10.0,
        gradient_penalty_every: int = 16,
        lecam_weight: float = 0.001,
        perceptual: Path | None = None,
        perceptual_weight: float = 0.1,
        perceptual_frames: int | None = None,
        init_from: Path | None = None,
        max_skipped_steps: int = 20,
        seed: int = 0,
    ):
        super().__init__()
        if gradient_penalty_every < 1:
            raise ValueError(f"gradient_penalty_every is {gradient_penalty_every}; expected 1 or more")
        self.seed = seed
        model = VideoTokenizer(tokenizer)
        if init_from is not None:
            start_from(model, init_from)
        self.tokenizer = _channels_last(model)
        self.average = averaged(self.tokenizer, ema_decay)
        self.adversary = None if discriminator is None else Adversary(discriminator, gradient_penalty)
        if self.adversary is not None and init_from is not None:
            of_videos = tokenizer.temporal_kernel > 1
            start_discriminator(self.adversary.discriminator, init_from, of_videos=of_videos)
        self.perceptual = None if perceptual is None else (perceptual_loss(perceptual, perceptual_frames),)
        self.learning_rate = learning_rate
        self.adam_learning_rate = adam_learning_rate
        self.discriminator_learning_rate = discriminator_learning_rate
        self.warmup_steps = warmup_steps
        self.weights = {
            "squared": squared_weight,
            "absolute": absolute_weight,
            "edges": edge_weight,
            "commitment": commitment_weight,
            "entropy": entropy_weight,
            "perceptual": perceptual_weight,
            "generator": adversarial_weight,
            "discriminator": 1.0,
            "gradient_penalty": gradient_penalty_weight * gradient_penalty_every,
            "lecam": lecam_weight,
        }
        self.entropy_start = entropy_start
        self.entropy_steps = entropy_steps
        self.temperature = temperature
        self.temperature_end = temperature if temperature_end is None else temperature_end
        self.gradient_penalty_every = gradient_penalty_every
        self.codes = {stage: CodeCounts(self.tokenizer.codebook_size) for stage in ("train", "val")}
        self.means = IntervalMeans()
        self.watched_loss = torch.zeros(())
        self.bad_steps = SkippedSteps(max_skipped_steps)
        self._last_loss = torch.zeros(())
        self._reported_step = 0

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Float[Tensor, ""]:
        pixels = pixels_from_frames(batch["frames"])
        reconstruction, latents = self.tokenizer(pixels)
        losses = reconstruction_losses(reconstruction, pixels) | self._penalties(latents)
        if self.perceptual is not None:
            losses["perceptual"] = self.perceptual[0](reconstruction, pixels, self._generator(batch_idx))
        if self.adversary is not None:
            losses |= self.adversary(reconstruction, pixels, self._penalty_generator(batch_idx))
        loss = sum(self.weights[name] * value for name, value in losses.items())
        assert isinstance(loss, Tensor)  # not the 0 of a sum of nothing
        self._last_loss = loss.detach()
        watched = [self.weights[name] * losses[name].detach() for name in _RECONSTRUCTION if name in losses]
        self.watched_loss = torch.stack(watched).sum()
        self.codes["train"].add(self.tokenizer.quantizer.codes(latents.detach()))
        quality = psnr(reconstruction.detach(), pixels).mean()
        self.means.add({**losses, "loss": loss, "psnr_db": quality})
        self.log_dict({"loss": loss.detach(), "psnr_db": quality}, prog_bar=True, logger=False)
        return loss

    def _generator(self, batch_idx: int) -> torch.Generator:
        """Draws what this batch of this process leaves to chance."""
        return step_generator(self.seed, *place_of(self, batch_idx), self.global_rank, self.device)

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        """Average the weights after each step, and so before any checkpoint of it."""
        super().optimizer_step(*arguments, **settings)
        self.average.update_parameters(self.tokenizer)

    def on_train_batch_end(self, outputs: Any, batch: dict[str, Any], batch_idx: int) -> None:
        """Report the means and the codes of the steps since the last report."""
        if is_reported(self, self.global_step) and self.global_step > self._reported_step:
            self._reported_step = self.global_step
            self.log_dict(self.means.report() | {"train/skipped_steps": self.bad_steps.since_report()})
            self._report("train")

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        pixels = pixels_from_frames(batch["frames"])
        reconstruction, latents = self.average(pixels)
        self.codes["val"].add(self.tokenizer.quantizer.codes(latents))
        quality = psnr(reconstruction, pixels)
        scores = {"val/psnr_db": quality.mean()}
        scores |= {f"val/psnr_frame_{frame:02d}_db": each.mean() for frame, each in enumerate(quality.T)}
        self.log_dict(scores, batch_size=len(pixels), sync_dist=True)
        if batch_idx == 0 and self.trainer.is_global_zero:
            path = Path(self.trainer.default_root_dir) / "samples" / f"step-{self.global_step:06d}.png"
            save_comparison(batch["frames"], frames_from_pixels(reconstruction), path)
            log_picture(self.loggers, "reconstructions", path, self.global_step)

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def configure_optimizers(self) -> Any:
        kinds = (nn.Conv2d, nn.Conv3d, PointwiseConv)
        convolutions = [module for module in self.tokenizer.modules() if isinstance(module, kinds)]
        groups = parameter_groups(convolutions, self.tokenizer)
        optimizer = Muon(groups, self.learning_rate, self.adam_learning_rate)
        if self.adversary is not None:
            optimizer.add_param_group(
                {
                    "name": "discriminator",
                    "params": list(self.adversary.parameters()),
                    "lr": self.discriminator_learning_rate,
                    "betas": _DISCRIMINATOR_BETAS,
                    "is_matrix": False,
                }
            )
        return scheduled(optimizer, self.warmup_steps, self.trainer.estimated_stepping_batches)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients of the tokenizer and of the discriminator, each by its own norm.

        A step with a non-finite gradient is skipped: on CPUs the weight gradient of a convolution in bfloat16
        is non-finite now and then, with a discriminator (PyTorch 2.11 and 2.13).
        """
        norm = float(gradient_norm(self.parameters()))
        if is_reported(self, self.global_step + 1):
            self.means.add(group_report(optimizer))
        if self.bad_steps.skip_if_non_finite(self, optimizer, norm, float(self._last_loss)):
            return
        clip_gradients((self.tokenizer, self.adversary), gradient_clip_val, gradient_clip_algorithm)

    @property
    def quality(self) -> Quality:
        """By what validations are compared. With a discriminator or a perceptual loss PSNR falls while the
        frames become better, and does not tell the best model."""
        return Quality(
            metric="val/psnr_db",
            words="PSNR",
            unit="dB",
            rises=True,
            noise=0.1,
            compared=("train/psnr_db", "val/psnr_db"),
            gap=1.5,
            picks=self.adversary is None and self.perceptual is None,
        )

    @rank_zero_only
    def export(self, folder: str | Path, weights: Weights | None = None) -> None:
        """Write the tokenizer, with the averaged weights unless it is to be the raw ones, and the
        discriminator, to folder/video_tokenizer."""
        target = Path(folder) / "video_tokenizer"
        tokenizer = self.tokenizer if weights == "raw" else self.averaged
        tokenizer.save_pretrained(target)
        if self.adversary is not None:
            self.adversary.discriminator.save_pretrained(target / DISCRIMINATOR)

    @property
    def averaged(self) -> VideoTokenizer:
        """The tokenizer with the running average of the weights."""
        averaged = self.average.module
        assert isinstance(averaged, VideoTokenizer)
        return averaged

    def entropy_scale(self, step: int) -> float:
        """Factor of the entropy weight: `entropy_start` at first, 1 from `entropy_steps` on."""
        return self._along(step, self.entropy_start, 1.0)

    def temperature_at(self, step: int) -> float:
        """Softness of the codes: `temperature` at first, `temperature_end` from `entropy_steps` on."""
        return self._along(step, self.temperature, self.temperature_end)

    def _along(self, step: int, start: float, end: float) -> float:
        done = min(step / max(self.entropy_steps, 1), 1.0)
        return start + (end - start) * done

    def _penalties(self, latents: Float[Tensor, "batch t h w channels"]) -> dict[str, Float[Tensor, ""]]:
        """Commitment and entropy losses, as far as the quantizer has them."""
        temperature = self.temperature_at(self.global_step)
        penalties = self.tokenizer.quantizer.penalties(latents, temperature)
        if "sample_entropy" not in penalties:
            return penalties
        sample_entropy, batch_entropy = penalties.pop("sample_entropy"), penalties.pop("batch_entropy")
        self.means.add(
            {
                "sample_entropy": sample_entropy,
                "batch_entropy": batch_entropy,
                "saturated_bits": saturated_bits(latents.detach(), temperature),
            }
        )
        scale = self.entropy_scale(self.global_step)
        return penalties | {"entropy": (sample_entropy - batch_entropy) * scale}

    def _penalty_generator(self, batch_idx: int) -> torch.Generator | None:
        """Random numbers of the gradient penalty, in a step that has one, for each of its batches."""
        return None if self.global_step % self.gradient_penalty_every else self._generator(batch_idx)

    def _report(self, stage: str) -> None:
        self.log_dict({f"{stage}/{name}": value for name, value in self.codes[stage].report().items()})


def save_comparison(
    frames: UInt8[Tensor, "batch frames height width 3"],
    reconstruction: UInt8[Tensor, "batch frames height width 3"],
    path: Path,
) -> None:
    """Write a picture with the frames of each clip side by side, the reconstruction below the original."""
    pairs = torch.stack([frames[:_PICTURED_CLIPS], reconstruction[:_PICTURED_CLIPS]], dim=1)
    picture = rearrange(pairs, "clips pair frames h w c -> (clips pair h) (frames w) c")
    with replacing(path) as temporary:
        Image.fromarray(picture.cpu().numpy()).save(temporary)


def log_picture(loggers: list[Any], name: str, path: Path, step: int) -> None:
    """Show a picture in TensorBoard and Weights & Biases, whichever of them listens."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            with Image.open(path) as picture:
                logger.experiment.add_image(name, np.asarray(picture), step, dataformats="HWC")
        elif isinstance(logger, WandbLogger):
            logger.log_image(name, [str(path)], step)


def _channels_last(model: VideoTokenizer) -> VideoTokenizer:
    """Kernels in the order of memory that activations with their channels last want."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  not in the stubs
        elif isinstance(module, nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]
    return model
