import csv
from pathlib import Path

import pytest
import torch
from lightning import Callback, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from PIL import Image

from videolm.data.datamodule import ClipDataModule
from videolm.data.pixels import pixels_from_frames
from videolm.tokenizers.autoencoder import VideoTokenizerConfig
from videolm.tokenizers.lfq import code_statistics, codes_from_latents
from videolm.tokenizers.losses import psnr, reconstruction_losses
from videolm.tokenizers.training import VideoTokenizerTraining
from videolm.tokenizers.video import VideoTokenizer

TINY = VideoTokenizerConfig(bits=8, channels=16, multipliers=(1, 1, 1))


class CheckpointAt(Callback):
    """Write middle.ckpt after `step` steps."""

    def __init__(self, step: int):
        self.step = step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "middle.ckpt")


def fit(folder: Path, resume: Path | None = None) -> VideoTokenizerTraining:
    """Eight steps of epochs of three, with a validation after four."""
    seed_everything(0)
    module = VideoTokenizerTraining(TINY, warmup_steps=2)
    trainer = Trainer(
        max_steps=8,
        accelerator="cpu",
        default_root_dir=folder,
        logger=CSVLogger(folder, name="", version=""),
        callbacks=[CheckpointAt(4)],
        log_every_n_steps=2,
        gradient_clip_val=1.0,
        val_check_interval=4,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    data = ClipDataModule(height=32, width=32, num_frames=5, batch_size=2, clips=6, validation_clips=3)
    trainer.fit(module, data, ckpt_path=resume, weights_only=True)
    return module


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, VideoTokenizerTraining]:
    folder = tmp_path_factory.mktemp("run")
    return folder, fit(folder)


def test_a_run_logs_losses_quality_and_use_of_codes(trained):
    folder, _ = trained
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    values = {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}
    for name in ("loss", "squared", "absolute", "edges", "commitment", "entropy", "psnr_db"):
        assert len(values[f"train/{name}"]) == 4
    for name in ("code_use", "perplexity", "bit_balance"):
        assert len(values[f"train/{name}"]) == 4 and len(values[f"val/{name}"]) == 2
    assert 0 < values["val/code_use"][-1] <= 1 and 0 < values["val/psnr_db"][-1] < 40


def test_a_run_pictures_originals_above_reconstructions(trained):
    folder, _ = trained
    pictures = sorted((folder / "samples").iterdir())
    assert [picture.name for picture in pictures] == ["step-000004.png", "step-000008.png"]
    with Image.open(pictures[-1]) as picture:  # the first batch of two clips of five frames
        assert picture.size == (5 * 32, 2 * 2 * 32)


def test_an_exported_tokenizer_gives_the_codes_of_the_trained_one(trained, tmp_path):
    _, module = trained
    module.export(tmp_path)
    loaded = VideoTokenizer.from_pretrained(tmp_path / "video_tokenizer")
    pixels = torch.rand(1, 3, 5, 32, 32) * 2 - 1
    assert torch.equal(loaded.encode(pixels), module.tokenizer.eval().encode(pixels))


def test_a_stopped_run_goes_on_to_the_same_weights(trained, tmp_path):
    folder, whole = trained
    resumed = fit(tmp_path, resume=folder / "middle.ckpt")
    for name, weight in whole.tokenizer.state_dict().items():
        assert torch.equal(resumed.tokenizer.state_dict()[name], weight), name


def test_a_tiny_tokenizer_learns_four_clips_by_heart():
    """The reconstruction of four clips gains at least 6 dB in 100 steps, with more than 16 codes in use."""
    torch.manual_seed(0)
    data = ClipDataModule(height=32, width=32, num_frames=5, batch_size=4, clips=4)
    data.setup()
    (batch,) = data.train_dataloader()
    module = VideoTokenizerTraining(TINY, entropy_weight=0.1, entropy_start=1.0)
    module.log_dict = lambda *arguments, **settings: None
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    pixels = pixels_from_frames(batch["frames"])

    def quality() -> float:
        with torch.no_grad():
            return psnr(module.tokenizer(pixels)[0], pixels).mean().item()

    before = quality()
    for _ in range(100):
        optimizer.zero_grad()
        module.training_step(batch, 0).backward()
        optimizer.step()
    assert quality() > before + 6
    counts = codes_from_latents(module.tokenizer.latents(pixels)).flatten().bincount(minlength=256)
    assert code_statistics(counts)["perplexity"] > 16


def test_entropy_weight_falls_to_its_end_value():
    module = VideoTokenizerTraining(TINY, entropy_start=3.0, entropy_steps=100)
    assert [module.entropy_scale(step) for step in (0, 50, 100, 1000)] == [3.0, 2.0, 1.0, 1.0]


def test_psnr_of_a_known_error():
    pixels = torch.zeros(2, 3, 4, 8, 8)
    shifted = pixels.clone()
    shifted[1, :, 2] = 0.2  # a tenth of the range: 20 dB
    quality = psnr(shifted, pixels)
    torch.testing.assert_close(quality[1, 2], torch.tensor(20.0))
    assert quality.shape == (2, 4) and (quality[0] == 100).all()


def test_losses_of_a_known_error():
    pixels = torch.zeros(1, 3, 1, 2, 2)
    error = torch.tensor([[0.5, -0.5], [0.5, -0.5]]).expand_as(pixels)
    losses = reconstruction_losses(pixels + error, pixels)
    assert {name: value.item() for name, value in losses.items()} == {
        "squared": 0.25,
        "absolute": 0.5,
        "edges": 1.0,
    }
