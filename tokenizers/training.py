"""Training of the video tokenizer.

    videolm tokenizer fit --config demo --out RUN

Reconstruction, commitment and entropy losses; the entropy term starts stronger and is annealed, which
brings large codebooks into use (Yu et al. 2023, arXiv:2310.05737, appendix A.2).
"""

from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from lightning import LightningModule
from PIL import Image
from torch import Tensor, nn

from ..data.optimisation import Muon, parameter_groups, warmup_cosine
from ..data.pixels import frames_from_pixels, pixels_from_frames
from ..data.pretrained import replacing
from .autoencoder import VideoTokenizerConfig
from .lfq import code_statistics, codes_from_latents, commitment, entropies
from .losses import psnr, reconstruction_losses
from .video import VideoTokenizer

_PICTURED_CLIPS = 6


class VideoTokenizerTraining(LightningModule):
    """Fits a `VideoTokenizer` to the frames of clips.

    Args:
        tokenizer: shape of the network and its codes.
        learning_rate: of the convolutions (see `Muon`) at the end of the warm-up; falls to nothing along
            a cosine.
        adam_learning_rate: of norms and biases, likewise.
        warmup_steps: steps of linear rise.
        squared_weight: of the mean squared error.
        absolute_weight: of the mean absolute error.
        edge_weight: of the mean absolute error of the differences between neighbouring pixels.
        commitment_weight: of the distance between latents and their signs.
        entropy_weight: of the entropy of a latent's code less that of all codes, after the annealing.
        entropy_start: how many times stronger that weight is at the start.
        entropy_steps: steps over which it falls to `entropy_weight`.
        temperature: softness of the codes in the entropies.
    """

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
    ):
        super().__init__()
        self.tokenizer = VideoTokenizer(tokenizer).to(memory_format=torch.channels_last)
        self.learning_rate = learning_rate
        self.adam_learning_rate = adam_learning_rate
        self.warmup_steps = warmup_steps
        self.weights = {
            "squared": squared_weight,
            "absolute": absolute_weight,
            "edges": edge_weight,
            "commitment": commitment_weight,
            "entropy": entropy_weight,
        }
        self.entropy_start = entropy_start
        self.entropy_steps = entropy_steps
        self.temperature = temperature
        counts = torch.zeros(self.tokenizer.codebook_size, dtype=torch.long)
        self.register_buffer("train_counts", counts, persistent=False)
        self.register_buffer("val_counts", counts.clone(), persistent=False)

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Float[Tensor, ""]:
        pixels = pixels_from_frames(batch["frames"])
        reconstruction, latents = self.tokenizer(pixels)
        sample_entropy, batch_entropy = entropies(latents, self.temperature)
        losses = reconstruction_losses(reconstruction, pixels) | {
            "commitment": commitment(latents),
            "entropy": (sample_entropy - batch_entropy) * self.entropy_scale(self.global_step),
        }
        loss = sum(self.weights[name] * value for name, value in losses.items())
        self._count(self.train_counts, latents)
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()})
        self.log_dict({"train/sample_entropy": sample_entropy, "train/batch_entropy": batch_entropy})
        self.log_dict(
            {"train/loss": loss, "train/psnr_db": psnr(reconstruction.detach(), pixels).mean()}, prog_bar=True
        )
        return loss

    def on_train_batch_end(self, outputs: Any, batch: dict[str, Any], batch_index: int) -> None:
        """Report the codes of the steps since the last report."""
        if self.global_step % self.trainer.log_every_n_steps == 0:
            self._report("train", self.train_counts)

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        pixels = pixels_from_frames(batch["frames"])
        reconstruction, latents = self.tokenizer(pixels)
        self._count(self.val_counts, latents)
        quality = psnr(reconstruction, pixels)
        self.log_dict(
            {
                "val/psnr_db": quality.mean(),
                "val/psnr_first_frame_db": quality[:, 0].mean(),
                "val/psnr_last_frame_db": quality[:, -1].mean(),
            },
            batch_size=len(pixels),
            sync_dist=True,
        )
        if batch_index == 0 and self.trainer.is_global_zero:
            path = Path(self.trainer.default_root_dir) / "samples" / f"step-{self.global_step:06d}.png"
            save_comparison(batch["frames"], frames_from_pixels(reconstruction), path)

    def on_validation_epoch_end(self) -> None:
        self._report("val", self.val_counts)

    def configure_optimizers(self) -> Any:
        convolutions = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        optimizer = Muon(parameter_groups(convolutions, self), self.learning_rate, self.adam_learning_rate)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: warmup_cosine(step, self.warmup_steps, steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def export(self, folder: str | Path) -> None:
        """Write the tokenizer to folder/video_tokenizer."""
        self.tokenizer.save_pretrained(Path(folder) / "video_tokenizer")

    def entropy_scale(self, step: int) -> float:
        """Factor of the entropy weight: `entropy_start` at first, 1 from `entropy_steps` on."""
        done = min(step / max(self.entropy_steps, 1), 1.0)
        return self.entropy_start + (1 - self.entropy_start) * done

    def _count(self, counts: Tensor, latents: Float[Tensor, "batch t h w bits"]) -> None:
        counts += torch.bincount(codes_from_latents(latents.detach()).flatten(), minlength=len(counts))

    def _report(self, stage: str, counts: Tensor) -> None:
        statistics = code_statistics(counts)
        self.log_dict({f"{stage}/{name}": value for name, value in statistics.items()}, sync_dist=True)
        counts.zero_()


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
