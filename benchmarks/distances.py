"""Do the scores without weights tell damaged clips from whole ones? Is the Frechet distance exact, and fast?

    python -m benchmarks.distances --clips FOLDER --where group=sprites --frames 16

Clips are divided at random: one half is "real", the other is damaged in a known way and compared with it. The
first row is the other half as it is: what no damage costs. With --weights FOLDER the scores of trained
networks stand beside. Below, `frechet_distance` and torchmetrics' eigenvalues (of moments that are given to
it) on features whose distance is known.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from videolm.data.media.clip import Clip
from videolm.data.sources.manifest import read_manifest
from videolm.evaluation.metrics.frechet import frechet_distance
from videolm.evaluation.metrics.measures import measures
from videolm.evaluation.metrics.weights_folder import WeightsFolder
from videolm.evaluation.set_evaluation import SetSettings

from .measuring import Record, command, cpu_seconds, machine, markdown_table

SIZE = (64, 64)
Damage = Callable[[Clip, torch.Generator], Clip]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--where", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--most", type=int, default=200)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    where = dict(condition.split("=", 1) for condition in arguments.where)
    print(machine(torch.get_num_threads()), end="\n\n")
    clips = read(arguments.clips, where, arguments.frames, arguments.most, arguments.seed)
    print(f"{len(clips)} clips of {arguments.frames} frames of {SIZE[0]}x{SIZE[1]}\n")
    print(sensitivity(clips, WeightsFolder(arguments.weights), arguments.frames, arguments.seed), end="\n\n")
    print(exactness())


def read(source: Path, where: dict[str, str], frames: int, most: int, seed: int) -> list[Clip]:
    entries = read_manifest(source, where)
    order = torch.randperm(len(entries), generator=torch.Generator().manual_seed(seed))[:most].tolist()
    settings = SetSettings(num_frames=frames, height=SIZE[0], width=SIZE[1])
    read_all = (settings.read(entries[number]) for number in order)
    return [clip for clip in read_all if isinstance(clip, Clip)]


def sensitivity(clips: list[Clip], weights: WeightsFolder, frames: int, seed: int) -> str:
    half = len(clips) // 2
    real, others = clips[:half], clips[half:]
    used = [
        each
        for each in measures(weights, frames)
        if each.extractor is not None and each.kind == "distance" and all(map(each.applies_to, clips))
    ]
    features = {each.name: each.extractor(real) for each in used}
    rows: list[Record] = []
    for name, damage in DAMAGES.items():
        generator = torch.Generator().manual_seed(seed)
        damaged = [damage(clip, generator) for clip in others]
        scores = [each.of(features[each.name], [each.extractor(damaged)], seed) for each in used]
        rows.append({"damage": name} | {score.name: score.value for score in scores})
    return markdown_table(rows)


def exactness() -> str:
    """Against Gaussian features whose distance is known, with many and with few clips."""
    from torchmetrics.image.fid import _compute_fid

    rows: list[Record] = []
    for count, dim in ((10_000, 400), (2_048, 400), (100, 400)):
        real = torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        shift = torch.linspace(0, 1, dim, dtype=torch.float64)
        other, known = real + shift, float(shift.square().sum())  # the same covariance: only means differ
        ours = cpu_seconds(partial(frechet_distance, real, other))
        moments = real.mean(0), real.T.cov(), other.mean(0), other.T.cov()
        theirs = cpu_seconds(partial(_compute_fid, *moments))
        row: Record = {"features": f"{count} x {dim}"}
        for name, (seconds, found) in {"ours": ours, "torchmetrics": theirs}.items():
            row |= {f"error, {name}": f"{abs(float(found) / known - 1):.0e}", f"CPU s, {name}": seconds}
        rows.append(row)
    return markdown_table(rows)


def _noise(clip: Clip, generator: torch.Generator, scale: float) -> Clip:
    noise = scale * torch.randn(clip.frames.shape, generator=generator)
    return replace(clip, frames=(clip.frames + noise).round().clamp(0, 255).to(torch.uint8))


def _blurred(clip: Clip, generator: torch.Generator) -> Clip:
    images = clip.frames.permute(0, 3, 1, 2).float()
    blurred = F.avg_pool2d(images, 5, 1, 2, count_include_pad=False)
    return replace(clip, frames=blurred.permute(0, 2, 3, 1).round().to(torch.uint8).contiguous())


def _in_order(clip: Clip, order: Tensor) -> Clip:
    return replace(clip, frames=clip.frames[order])


def _jittered(clip: Clip, generator: torch.Generator) -> Clip:
    moves = torch.randint(-3, 4, (clip.num_frames, 2), generator=generator).tolist()
    frames = [torch.roll(frame, move, (0, 1)) for frame, move in zip(clip.frames, moves, strict=True)]
    return replace(clip, frames=torch.stack(frames))


def _hiss(clip: Clip, generator: torch.Generator) -> Clip:
    if clip.waveform is None:
        return clip
    noise = 0.05 * torch.randn(clip.waveform.shape, generator=generator)
    return replace(clip, waveform=clip.waveform + noise)


DAMAGES: dict[str, Damage] = {
    "none": lambda clip, generator: clip,
    "noise of 10 levels": lambda clip, generator: _noise(clip, generator, 10),
    "noise of 40 levels": lambda clip, generator: _noise(clip, generator, 40),
    "blur of 5 pixels": _blurred,
    "70 % as bright": lambda clip, generator: replace(clip, frames=(clip.frames * 0.7).to(torch.uint8)),
    "stands still": lambda clip, generator: _in_order(clip, torch.zeros(clip.num_frames, dtype=torch.long)),
    "frames shuffled": lambda clip, generator: _in_order(
        clip, torch.randperm(clip.num_frames, generator=generator)
    ),
    "jitters by 3 pixels": _jittered,
    "runs backwards": lambda clip, generator: _in_order(clip, torch.arange(clip.num_frames - 1, -1, -1)),
    "hiss": _hiss,
}


if __name__ == "__main__":
    command(main)
