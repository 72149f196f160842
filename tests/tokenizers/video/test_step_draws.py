"""What a step of the video tokenizer draws follows from its number, with accumulated batches too."""

from pathlib import Path

import torch
from lightning import Trainer
from torch import nn

from videolm.data.loading.clip_datamodule import ClipDataModule
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.lightning_module import VideoTokenizerTraining
from videolm.tokenizers.video.perceptual import PerceptualLoss
from videolm.training.run_checkpoint import RunCheckpoint

TINY = VideoTokenizerConfig(bits=8, channels=8, multipliers=(1, 1, 1))


class Difference(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (images - targets).abs().mean((1, 2, 3))


class Noted(PerceptualLoss):
    """Keeps the numbers of the frames that were scored."""

    def _scored_frames(self, pixels, generator):
        self.scored = super()._scored_frames(pixels, generator)
        return self.scored


class NotedTraining(VideoTokenizerTraining):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.drawn[self.global_step, batch_idx % 2] = self.perceptual[0].scored.tolist()
        return loss


def fit(folder: Path, steps: int, checkpoint: Path | None = None) -> dict[tuple[int, int], list[int]]:
    module = NotedTraining(TINY)
    module.perceptual, module.drawn = (Noted(Difference(), 2),), {}
    trainer = Trainer(
        max_steps=steps, accumulate_grad_batches=2, accelerator="cpu", logger=False, default_root_dir=folder,
        callbacks=[RunCheckpoint(folder, every=2)], enable_progress_bar=False, enable_model_summary=False,
        limit_val_batches=0,
    )  # fmt: skip
    data = ClipDataModule(height=32, width=32, num_frames=5, batch_size=4, clips=64)
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    return module.drawn


def test_the_frames_of_accumulated_batches_are_those_of_an_unbroken_run(tmp_path):
    """Other ones in each batch of a step, the same ones after a stop; torch's own generator has no part."""
    torch.manual_seed(5)
    whole = fit(tmp_path / "whole", 4)
    torch.manual_seed(6)
    first, rest = fit(tmp_path, 2), fit(tmp_path, 4, tmp_path / "last.ckpt")
    assert rest.keys() == {(2, 0), (2, 1), (3, 0), (3, 1)}
    assert whole == first | rest
    assert len({tuple(frames) for frames in whole.values()}) == 8
