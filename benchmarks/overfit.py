"""Can the tokenizer learn one clip by heart, through its codes? With the losses of a config.

    python -m benchmarks.overfit --clip FILE --config benchmarks/contest/compact.yaml --steps 1500

Trains on the first frames of one clip. Reported are PSNR, the codes in use, and the PSNR when the same codes
are decoded in a random order: it must fall far, or the decoder would know the clip without them.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from videolm.data.media.pixels import frames_from_pixels, pixels_from_frames
from videolm.data.media.reading import read_clip
from videolm.tokenizers.video.lightning_module import save_comparison
from videolm.tokenizers.video.losses import psnr
from videolm.training.schedule import warmup_cosine

from .contestants import Ours
from .measuring import command, machine


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overfit", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--clip", type=Path, required=True)
    add("--config", default="compact-128", help="name or YAML file of a config of the video tokenizer")
    add("--size", type=int, default=128, help="height and width")
    add("--frames", type=int, default=17)
    add("--steps", type=int, default=1500)
    add("--threads", type=int, default=2)
    add("--seed", type=int, default=0)
    add("--bf16", action="store_true", help="products in bfloat16 while training")
    add("--out", type=Path, help="folder for a picture of the frames above what became of them")
    run(parser.parse_args())


def run(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    sizes = {"height": arguments.size, "width": arguments.size, "num_frames": arguments.frames}
    clip = read_clip(arguments.clip, **sizes)
    if clip.num_frames < arguments.frames:
        raise ValueError(f"{arguments.clip} has {clip.num_frames} frames; {arguments.frames} are needed")
    pixels = pixels_from_frames(clip.frames[None])
    contestant = Ours(arguments.config)
    network, start = contestant.network, time.perf_counter()
    train(contestant, pixels, arguments)
    seconds = time.perf_counter() - start
    network.eval()
    with torch.no_grad():
        codes = network.encode(pixels)
        decoded = network.decode(codes)
        order = torch.randperm(codes.numel())
        shuffled = network.decode(codes.flatten()[order].view_as(codes))
    record = {
        "clip": arguments.clip.name,
        "parameters": contestant.num_parameters,
        "steps": arguments.steps,
        "seconds": seconds,
        "psnr_db": psnr(decoded, pixels).mean().item(),
        "psnr_worst_frame_db": psnr(decoded, pixels).min().item(),
        "codes": codes.numel(),
        "codes_in_use": codes.unique().numel(),
        "psnr_shuffled_db": psnr(shuffled, pixels).mean().item(),
        "machine": machine(arguments.threads),
    }
    print(json.dumps(record))
    if arguments.out is not None:
        save_comparison(clip.frames[None], frames_from_pixels(decoded), arguments.out / "overfit.png")


def train(contestant: Ours, pixels: torch.Tensor, arguments: argparse.Namespace) -> None:
    peaks = [group["lr"] for group in contestant.optimizer.param_groups]
    for step in range(arguments.steps):
        factor = warmup_cosine(step, arguments.steps // 20, arguments.steps)
        for group, peak in zip(contestant.optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.bf16):
            loss = contestant.loss(pixels, step)
        contestant.optimizer.zero_grad()
        loss.backward()
        if contestant.max_gradient_norm is not None:
            torch.nn.utils.clip_grad_norm_(contestant.network.parameters(), contestant.max_gradient_norm)
        contestant.optimizer.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)


if __name__ == "__main__":
    command(main)
