"""Training steps on a GPU, timed inside Lightning's own loop, and what the video tokenizer codes a second."""

from contextlib import ExitStack
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from videolm.lm.training.costs import training_flops
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.lm.training.throughput import peak_flops
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.discriminator import DiscriminatorConfig
from videolm.tokenizers.video.lightning_module import VideoTokenizerTraining
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

from .gpu_meter import BOTH, DEVICE, Meter, batch_of, body_of, clock, layout_of, settings_of, vocabulary_of

WARM_UP, MANY = 2, 8


class Stopwatch(Callback):
    """Times steps of one batch and, after them, one of `MANY` batches.

        batch  0 1 | 2 ... 7             | 8 ... 15           | 16 ... 23        | 24
               warm  a step each, timed    a step, not timed    a step, timed      with a table of kernels

    Attributes:
        seconds: of a step, by its number of batches.
        first: of the first batch, in which everything is compiled.
        peak: bytes of GPU memory.
    """

    def __init__(self, meter: Meter, title: str, accumulates: bool = True):
        self.meter, self.title = meter, title
        self.last = (3 if accumulates else 1) * MANY
        self.seconds: dict[int, float] = {}
        self.first, self.peak = 0.0, 0
        self._since = 0.0
        self._held = ExitStack()

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, index: int) -> None:
        if index in (WARM_UP, 2 * MANY) and index != self.last:
            self._held.enter_context(self.meter.alone())
        if index == self.last:
            trainer.accumulate_grad_batches = 1
            self._held.enter_context(self.meter.kernels(self.title))
        if index in (0, WARM_UP, 2 * MANY):
            self._since = clock()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        if index == 0:
            self.first = clock() - self._since
        elif index == MANY - 1:
            self.seconds[1] = (clock() - self._since) / (MANY - WARM_UP)
            trainer.accumulate_grad_batches = 1 if self.last == MANY else MANY
        elif index == 3 * MANY - 1:
            self.seconds[MANY] = clock() - self._since
        if index in (MANY - 1, 3 * MANY - 1, self.last):
            self._held.close()
            self.peak = torch.cuda.max_memory_allocated() if DEVICE.type == "cuda" else 0


def fit(module: LightningModule, batch: Any, settings: dict[str, Any], watch: Stopwatch) -> float:
    """The loss after a training on one batch, repeated."""
    trainer = Trainer(
        accelerator="auto", devices=1, precision=settings["precision"], max_epochs=1, max_steps=1000,
        gradient_clip_val=settings["gradient_clip_val"], log_every_n_steps=settings["log_every_n_steps"],
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[watch],
    )  # fmt: skip
    count = watch.last + (watch.meter.profile is not None)
    trainer.fit(module, DataLoader([batch] * count, batch_size=None))
    return float(trainer.callback_metrics["loss"])


def train_language_model(meter: Meter, name: str, eager: bool, rows: int | None) -> None:
    """Steps of `lm fit --config NAME` on one GPU: its rows, precision and optimizer."""
    settings = settings_of("lm", name)
    own = {key: value for key, value in settings["model"].items() if key != "model"}
    with DEVICE:
        module = LanguageModelTraining(
            body_of(name, meter.tiny), vocabulary_of(meter.tiny), **own, compile=not eager
        )
    rows = 2 if meter.tiny else rows or settings["data"]["batch_size"]
    batch = batch_of(layout_of(BOTH, meter.tiny), rows)
    targets = batch.block[:, 1:][batch.weight[:, 1:] > 0]
    flops, positions = float(training_flops(module.model, batch, targets)), int(batch.length.sum())
    peak = peak_flops(DEVICE, torch.bfloat16)
    watch = Stopwatch(meter, f"{name}, a training step")
    loss = fit(module, batch, settings["trainer"], watch)
    alone, accumulated = watch.seconds[1], watch.seconds[MANY]
    for measured, seconds, batches in (
        ("step", alone, 1),
        (f"step of {MANY} batches", accumulated, MANY),
        ("forward and backward", (accumulated - alone) / (MANY - 1), 1),
    ):
        meter.report(
            what="train", body=name, compiled=not eager, measured=measured, rows=rows, positions=positions,
            seconds=seconds, positions_per_s=batches * positions / seconds, tflop=batches * flops / 1e12,
            utilisation=batches * flops / seconds / peak, peak_gb=watch.peak / 1e9, first_batch_s=watch.first,
            last_loss=loss,
        )  # fmt: skip


def code_clips(meter: Meter, name: str) -> None:
    """Frames a second of encoding and decoding in bfloat16."""
    with DEVICE:
        model = VideoTokenizer(tokenizer_config(name, meter.tiny)).to(torch.bfloat16).eval()
    size, frames = (32, 5) if meter.tiny else (128, 17)
    for rows in (1, 8):
        pixels = (torch.rand(rows, 3, frames, size, size, device=DEVICE) * 2 - 1).bfloat16()
        with torch.inference_mode():
            codes = model.encode(pixels)
            encoding = meter.seconds(lambda pixels=pixels: model.encode(pixels), calls=3)
            decoding = meter.seconds(lambda codes=codes: model.decode(codes), calls=3)
            with meter.kernels(f"{name}, decoding {rows} clips"):
                model.decode(codes)
        meter.report(
            what="tokenizer", name=name, rows=rows, encode_frames_per_s=rows * frames / encoding,
            decode_frames_per_s=rows * frames / decoding, decode_ms=decoding * 1e3,
        )  # fmt: skip


def train_tokenizer(meter: Meter, name: str) -> None:
    """Steps of `tokenizer fit --config NAME` on the clips of its first bucket, with the discriminator."""
    settings = settings_of("tokenizer", name)
    own = {key: value for key, value in settings["model"].items() if key != "tokenizer"}
    own["discriminator"] = DiscriminatorConfig(**own["discriminator"])
    bucket = settings["data"]["buckets"][0]
    rows, frames, size = (2, 5, 32) if meter.tiny else (bucket["batch_size"], 17, 128)
    with DEVICE:
        module = VideoTokenizerTraining(tokenizer_config(name, meter.tiny), **own)
    clips = torch.randint(256, (rows, frames, size, size, 3), dtype=torch.uint8)
    watch = Stopwatch(meter, f"{name}, a training step", accumulates=False)
    loss = fit(module, {"frames": clips}, settings["trainer"], watch)
    meter.report(
        what="train tokenizer", name=name, rows=rows, seconds=watch.seconds[1],
        clips_per_s=rows / watch.seconds[1], peak_gb=watch.peak / 1e9, first_batch_s=watch.first,
        last_loss=loss,
    )  # fmt: skip


def tokenizer_config(name: str, tiny: bool) -> VideoTokenizerConfig:
    sizes = settings_of("tokenizer", name)["model"]["tokenizer"]
    if tiny:
        sizes |= {"channels": 8, "bits": 6, "multipliers": [1] * len(sizes["multipliers"]), "blocks": 1}
    return VideoTokenizerConfig(
        **{key: tuple(value) if isinstance(value, list) else value for key, value in sizes.items()}
    )
