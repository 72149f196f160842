"""Codes of random crops of clips, for `benchmarks.heads`.

    videolm tokenizer fit --config demo --data.source clips/ --out runs/heads
    python -m benchmarks.head_codes clips/ --model runs/heads/model --out codes/0.safetensors

A clip is read whole and scaled to 4/3 of the size of a crop. A draw is a window of frames of a random clip,
from a random instant, cut out at a random place and mirrored half of the time. Every twentieth clip of the
list is held out: its draws are the validation codes. Other seeds give other draws from the same two sets.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Int, UInt8
from safetensors.torch import save_file
from torch import Tensor

from videolm.data.media.pixels import pixels_from_frames
from videolm.data.media.reading import read_clip
from videolm.data.media.streams import MediaError
from videolm.data.sources.manifest import read_manifest
from videolm.tokenizers.video.protocol import VideoCodec, load_video_tokenizer

from .measuring import command

HELD_OUT = 20
BATCH = 32
_MARGIN = 4 / 3

Frames = UInt8[Tensor, "frames height width 3"]


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    tokenizer = load_video_tokenizer(arguments.model / "video_tokenizer").requires_grad_(False)
    shape = (arguments.num_frames, arguments.height, arguments.width)
    grid = tokenizer.grid(*shape)
    training, validation = read_clips(arguments.source, shape, arguments.fps)
    print(json.dumps({"grid": grid, "training clips": len(training), "validation clips": len(validation)}))
    random = torch.Generator().manual_seed(arguments.seed)
    start = time.process_time()
    codes = {
        name: codes_of(tokenizer, draws(clips, shape, random), -(-count // prod(grid)))
        for name, clips, count in (
            ("training", training, arguments.codes),
            ("validation", validation, arguments.codes // HELD_OUT),
        )
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(codes, arguments.out, metadata={"codebook_size": str(tokenizer.codebook_size)})
    seconds = time.process_time() - start
    print(f"{codes['training'].numel():,} codes in {seconds:.0f} s of CPU: {arguments.out}")


def parse() -> argparse.Namespace:
    description = __doc__.splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.head_codes", description=description)
    parser.add_argument("source", help="folder or list of clips")
    parser.add_argument("--model", type=Path, required=True, help="folder with a video_tokenizer")
    parser.add_argument("--out", type=Path, required=True, help="a .safetensors file")
    parser.add_argument("--codes", type=int, default=1_000_000, help="to train on; then a twentieth more")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-frames", type=int, default=9)
    parser.add_argument("--height", type=int, default=48)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--fps", type=float, default=8.0)
    return parser.parse_args()


def read_clips(source: str, shape: Sequence[int], fps: float) -> tuple[list[Frames], list[Frames]]:
    """The clips of at least `shape` frames to train on, and those held out."""
    kept: tuple[list[Frames], list[Frames]] = ([], [])
    for index, entry in enumerate(read_manifest(source)):
        try:
            clip = read_clip(entry.media, start=entry.start or 0.0, end=entry.end, fps=fps)
        except MediaError as error:
            print(f"left out: {error}")
            continue
        if clip.num_frames >= shape[0]:
            kept[index % HELD_OUT == 0].append(scaled(clip.frames, shape[1], shape[2]))
    if not all(kept):
        raise ValueError(f"{source} has {len(kept[0]) + len(kept[1])} clips of {shape[0]} frames; too few")
    return kept


def scaled(frames: Frames, height: int, width: int) -> Frames:
    """Frames of the same proportions of which a crop of this size covers three quarters of a side at most."""
    scale = _MARGIN * max(height / frames.shape[1], width / frames.shape[2])
    size = [round(side * scale) for side in frames.shape[1:3]]
    pictures = rearrange(frames, "frames height width channels -> frames channels height width").float()
    pictures = F.interpolate(pictures, size, mode="bilinear", antialias=True)
    return rearrange(pictures.round().byte(), "frames channels height width -> frames height width channels")


def draws(clips: Sequence[Frames], shape: Sequence[int], random: torch.Generator) -> Iterator[Frames]:
    """Random windows of random clips, without end."""

    def below(count: int) -> int:
        return int(torch.randint(count, (), generator=random))

    while True:
        clip = clips[below(len(clips))]
        for axis, length in enumerate(shape):
            clip = clip.narrow(axis, below(clip.shape[axis] - length + 1), length)
        yield clip.flip(2) if below(2) else clip


def codes_of(tokenizer: VideoCodec, windows: Iterator[Frames], count: int) -> Int[Tensor, "clips t h w"]:
    """Codes of the first `count` windows."""
    parts = []
    with torch.inference_mode():
        for start in range(0, count, BATCH):
            frames = torch.stack([next(windows) for _ in range(min(BATCH, count - start))])
            parts.append(tokenizer.encode(pixels_from_frames(frames)).int())
    return torch.cat(parts)


if __name__ == "__main__":
    command(main)
