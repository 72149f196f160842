"""What the discriminator's gradient penalty costs a training step, and what it brings in equal CPU time.

    python -m benchmarks.discriminator flops compact-128 magvit2-128
    python -m benchmarks.discriminator quality --seconds 30

`flops` counts the operations of a step on 16 clips of 17x128x128 without computing any of them (fake
tensors): the tokenizer's forward and backward pass, and the discriminator's with each form of the penalty.
`quality` trains a small tokenizer with a small discriminator, each form for the same CPU seconds on the
same clips in the same order, and scores its average on held-out clips.
"""

import argparse
import json
import math
import time
from contextlib import nullcontext
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from videolm.data.media.pixels import pixels_from_frames
from videolm.data.synthetic.corpus import CORPORA, Corpus
from videolm.tokenizers.video.adversarial import Adversary, gradient_penalty
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.discriminator import DiscriminatorConfig
from videolm.tokenizers.video.lightning_module import VideoTokenizerTraining
from videolm.tokenizers.video.losses import psnr, reconstruction_losses
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

from .gpu_meter import settings_of
from .gpu_training import tokenizer_config
from .measuring import Record, command, machine, markdown_table

FORMS = {
    "exact, every step": {"gradient_penalty": "exact", "gradient_penalty_every": 1},
    "exact, every 16": {"gradient_penalty": "exact", "gradient_penalty_every": 16},
    "noise, every step": {"gradient_penalty": "noise", "gradient_penalty_every": 1},
    "noise, every 16": {"gradient_penalty": "noise", "gradient_penalty_every": 16},
}
SMALL = VideoTokenizerConfig(bits=10, channels=24, multipliers=(1, 1, 1))
JUDGE = DiscriminatorConfig(channels=4, multipliers=(2, 4, 4))
SIZE: dict[str, Any] = {"height": 32, "width": 32, "num_frames": 5, "sample_rate": None}
CLIPS, HELD_OUT, BATCH = 256, 32, 8
WARM_UP = 0.05  # of the time


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    print(json.dumps(machine(threads=1)))
    if arguments.what == "flops":
        print(markdown_table([row for name in arguments.names for row in flops(name)]))
    else:
        print(markdown_table(quality(arguments.seconds)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.discriminator", description=__doc__.splitlines()[0]
    )
    parser.add_argument("what", choices=("flops", "quality"))
    parser.add_argument("names", nargs="*", default=["compact-128"], help="configs/tokenizer/NAME.yaml")
    parser.add_argument("--seconds", type=float, default=30.0, help="CPU seconds of each training")
    return parser.parse_args()


def flops(name: str) -> list[Record]:
    """Operations of a step with each form of the penalty, and the share of the penalty in it."""
    judge = DiscriminatorConfig(**settings_of("tokenizer", name)["model"]["discriminator"])
    with FakeTensorMode():
        tokenizer = VideoTokenizer(tokenizer_config(name, tiny=False))
        pixels = torch.zeros(16, 3, 17, 128, 128)
        with _counter() as counter:
            reconstruction, _ = tokenizer(pixels)
            torch.stack(list(reconstruction_losses(reconstruction, pixels).values())).sum().backward()
        own = counter.get_total_flops()
        costs = {form: _adversarial_flops(judge, form, pixels) for form in ("none", "exact", "noise")}
    rows = []
    for form, settings in {"none": {}, **FORMS}.items():
        every = settings.get("gradient_penalty_every", 1)
        penalty = (costs[settings.get("gradient_penalty", "none")] - costs["none"]) / every
        whole = own + costs["none"] + penalty
        rows.append(
            {
                "config": name,
                "penalty": form,
                "tokenizer TFLOP": own / 1e12,
                "discriminator TFLOP": costs["none"] / 1e12,
                "penalty TFLOP": penalty / 1e12,
                "its share of a step": f"{penalty / whole:.1%}",
                "penalty in": "float32" if settings.get("gradient_penalty") == "exact" else "bfloat16",
            }
        )
    return rows


def _adversarial_flops(judge: DiscriminatorConfig, form: str, pixels: torch.Tensor) -> int:
    adversary = Adversary(judge, "noise" if form == "noise" else "exact")
    generated = torch.zeros_like(pixels, requires_grad=True)
    with _counter() as counter:
        losses = adversary(generated, pixels, None if form == "none" else torch.Generator())
        torch.stack(list(losses.values())).sum().backward()
    return counter.get_total_flops()


def _counter() -> FlopCounterMode:
    """One that does not ask which module an operation is of: of a gradient's gradient it cannot be told."""
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _OneModule()  # type: ignore[assignment]
    return counter


class _OneModule(nullcontext):
    parents = frozenset({"Global"})


def quality(seconds: float) -> list[Record]:
    corpus = Corpus(**SIZE, scenes=CORPORA["synthetic-plain"])
    clips = torch.stack([corpus[number].frames for number in range(CLIPS)])
    held_out = torch.stack([corpus[2**40 + number].frames for number in range(HELD_OUT)])
    rows = []
    for name, settings in {"no discriminator": None, **FORMS}.items():
        rows.append({"penalty": name, **_trained(settings, clips, pixels_from_frames(held_out), seconds)})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def _trained(
    settings: dict[str, Any] | None, clips: torch.Tensor, held_out: torch.Tensor, seconds: float
) -> Record:
    """Scores after so many CPU seconds of training."""
    torch.manual_seed(0)
    judged = {} if settings is None else {"discriminator": JUDGE, **settings}
    module = VideoTokenizerTraining(SMALL, adam_learning_rate=0.003, entropy_weight=0.004, **judged)
    place = _Place(total=1_000_000)  # of the schedule: rates are set by the time, below
    module.trainer = place  # type: ignore[assignment]
    module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    optimizer = module.configure_optimizers()["optimizer"]
    peaks = [group["initial_lr"] for group in optimizer.param_groups]
    order = torch.Generator().manual_seed(1)
    begin = time.process_time()
    while (done := (time.process_time() - begin) / seconds) < 1:
        share = min(done / WARM_UP, 0.5 * (1 + math.cos(math.pi * done)))
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * share
        frames = clips[torch.randint(CLIPS, (BATCH,), generator=order)]
        optimizer.zero_grad()
        module.training_step({"frames": frames}, 0).backward()
        for network in (module.tokenizer, module.adversary):
            if network is not None:
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        module.average.update_parameters(module.tokenizer)
        place.global_step += 1
    return _scores(module, held_out) | {"steps": place.global_step}


class _Place:
    """As much of a trainer as a module reads."""

    def __init__(self, total: int):
        self.estimated_stepping_batches, self.global_step, self.global_rank = total, 0, 0


@torch.no_grad()
def _scores(module: VideoTokenizerTraining, pixels: torch.Tensor) -> Record:
    reconstruction = module.averaged.eval()(pixels)[0].clamp(-1, 1)
    record: Record = {"PSNR dB": psnr(reconstruction, pixels).mean().item()}
    record["L1 of edges"] = reconstruction_losses(reconstruction, pixels)["edges"].item()
    record["detail"] = (_detail(reconstruction) / _detail(pixels)).item()
    if module.adversary is not None:
        judge = module.adversary.discriminator
        record["logits apart"] = (judge(pixels).mean() - judge(reconstruction).mean()).item()
        record["exact R1"] = float(gradient_penalty(judge, pixels).detach())
    else:
        record |= {"logits apart": None, "exact R1": None}
    return record


def _detail(pixels: torch.Tensor) -> torch.Tensor:
    """Energy of the frequencies above half of the highest one, across and down."""
    spectrum = torch.fft.rfft2(pixels).abs().square()
    height, width = spectrum.shape[-2:]
    return spectrum[..., height // 4 : -height // 4, :].sum() + spectrum[..., width // 2 :].sum()


if __name__ == "__main__":
    command(main)
