"""Do trainings come to their end while infinities are thrown into them?

    python -m benchmarks.infinities --out runs/infinities               # 20,000 steps of each stage
    python -m benchmarks.infinities --out runs/infinities --steps 200 --stages tokenizer

Trains the debug configs of the video tokenizer, the audio codec (both with a discriminator, the codec
balanced) and the language model, one after the other, and makes every tenth step infinite in one of the ways
of the stage in turn: its sound, its loss, a gradient, or one logit of the discriminator. A stage fails that
ends early, whose weights are not finite, or that skipped other steps than those.
"""

import argparse
import csv
import json
import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from videolm.cli.main import main as videolm
from videolm.cli.stages import STAGES

from .measuring import Record, command, machine, markdown_table

EVERY = 10
WAYS = {
    "tokenizer": ("loss", "gradient", "logit"),
    "audio": ("sound", "loss", "gradient", "logit"),
    "lm": ("loss", "gradient"),
}
_SETTINGS = {
    "tokenizer": ["--model.discriminator", "{channels: 4, multipliers: [1, 2]}"],
    "audio": ["--model.discriminator", "{channels: 4, windows: [256, 64]}", "--model.balanced", "true"],
    "lm": ["--trainer.callbacks", "null"],  # no pictures
}


class Infinities(Callback):
    """Makes every `EVERY`-th step infinite, in each of the ways in turn.

    Attributes:
        spoilt: how many steps, by way.
    """

    def __init__(self, ways: Sequence[str]):
        self.ways = ways
        self.spoilt = dict.fromkeys(ways, 0)
        self.way: str | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step = pl_module.training_step
        pl_module.training_step = lambda batch, batch_idx: self._infinite("loss", step(batch, batch_idx))
        for judge in _judges(pl_module):
            judge.register_forward_hook(lambda *parts: self._infinite("logit", parts[2]))
            break

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        turn, is_between = divmod(trainer.global_step + 1, EVERY)
        self.way = None if is_between else self.ways[turn % len(self.ways)]
        if self.way is not None:
            self.spoilt[self.way] += 1
        if self.way == "sound":
            batch["waveform"][0, 0] = math.inf

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.way == "gradient":
            weight = next(each for each in pl_module.parameters() if each.grad is not None)
            assert weight.grad is not None
            weight.grad[(0,) * weight.grad.ndim] = math.inf

    def _infinite(self, way: str, output: Any) -> Any:
        """The output, its first number infinite (with gradient) if it is the turn of this way."""
        if self.way != way:
            return output
        if isinstance(output, list):  # features and logits of a discriminator of sound
            return [*output[:-1], self._infinite(way, output[-1])]
        first = torch.zeros_like(output.detach())
        first[(0,) * first.ndim] = math.inf
        return output * (1 + first) if isinstance(output, Tensor) else output


def _judges(module: Any) -> list[torch.nn.Module]:
    adversary = getattr(module, "adversary", None)
    if adversary is None:
        return []
    if hasattr(adversary, "discriminator"):
        return [adversary.discriminator]
    return list(adversary.discriminators)


def run(out: Path, stage: str, steps: int) -> Record:
    """Train one stage in `out` so.

    Raises:
        ValueError: if it does not come to its end, or ends with what it should not.
    """
    infinities, before, begin = Infinities(WAYS[stage]), STAGES[stage], time.monotonic()
    interval = ["--trainer.max_steps", str(steps), "--trainer.val_check_interval", str(steps)]
    folders = ["--out", str(out), "--checkpoint_every", str(max(steps // 4, 1))]
    if stage == "lm":
        folders += ["--data.shards", str(out / "shards"), "--data.model", str(out / "model")]
    STAGES[stage] = replace(before, callbacks=lambda: [*before.callbacks(), infinities])
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="step .* is skipped")
            status = videolm([stage, "fit", "--config", "debug", *_SETTINGS[stage], *interval, *folders])
    finally:
        STAGES[stage] = before
    if status:
        raise ValueError(f"{stage} fit ended with status {status}; what it printed stands above")
    checkpoint = torch.load(out / "training" / stage / "last.ckpt", weights_only=True)
    wrong = [
        name
        for name, value in checkpoint["state_dict"].items()
        if value.is_floating_point() and not value.isfinite().all()
    ]
    if wrong or checkpoint["global_step"] != steps:
        raise ValueError(f"{stage} ended at step {checkpoint['global_step']}, with non-finite {wrong}")
    spoilt, skipped = sum(infinities.spoilt.values()), skipped_steps(out / "training" / stage / "metrics.csv")
    if skipped != spoilt:
        raise ValueError(f"{stage}: {spoilt} steps were made infinite, {skipped} skipped")
    ways = {way: infinities.spoilt.get(way, 0) for way in ("loss", "gradient", "logit", "sound")}
    return {"stage": stage, "steps": steps, **ways, "s": time.monotonic() - begin}


def skipped_steps(metrics: Path) -> int:
    with metrics.open(newline="", encoding="utf-8") as file:
        return round(sum(float(row["train/skipped_steps"] or 0) for row in csv.DictReader(file)))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.infinities", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="run folder, new")
    parser.add_argument("--steps", type=int, default=20_000, help="of each stage")
    parser.add_argument("--stages", nargs="+", choices=tuple(WAYS), default=tuple(WAYS))
    arguments = parser.parse_args()
    print(json.dumps(machine(threads=torch.get_num_threads())))
    rows = []
    for stage in arguments.stages:
        if stage == "lm" and not (arguments.out / "shards").exists():
            encode(arguments.out)
        rows.append(run(arguments.out, stage, arguments.steps))
    print(markdown_table(rows))


def encode(out: Path) -> None:
    """Codes of a few clips for the language model, by the tokenizers of the stages before."""
    folders = ["--model", str(out / "model"), "--out", str(out / "shards")]
    if videolm(["encode", "synthetic", "--clips", "32", *folders]):
        raise ValueError("the clips could not be encoded; train the stages tokenizer and audio first")


if __name__ == "__main__":
    command(main)
