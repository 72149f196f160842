"""A contest of video tokenizers: the same clips, the same batches and the same time to learn from them.

    python -m benchmarks.tokenizer_contest --clips FOLDER --where group=NAME --size 64 --frames 17 \\
        --minutes 10 --threads 2 --contestant compact-128 --out runs/contest/compact-128
    python -m benchmarks.tokenizer_contest --report runs/contest/* --out runs/contest

One contestant a call, so that each has a process of its own. Clips are decoded before the clock starts, which
stands still during evaluations; learning rates follow a warm-up and a cosine in the share of the time that
has passed, so that all schedules end when the time is up. DIR/contest.jsonl gets a line with the settings,
then one for each of twelve evaluations on held-out clips; DIR/held_out.png shows some of these above what
became of them.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from videolm.data.loading.clip_dataset import FileClips
from videolm.data.loading.clip_reader import ClipReader, WindowReader
from videolm.data.loading.probes import Probes
from videolm.data.media.pixels import frames_from_pixels, pixels_from_frames
from videolm.data.sources.entry import Entry
from videolm.data.sources.manifest import read_manifest
from videolm.tokenizers.video.lightning_module import save_comparison
from videolm.training.schedule import warmup_cosine

from . import contest_report
from .contest_scores import scores
from .contestants import PEER_LAYERS, PEERS, Contestant, build
from .measuring import Record, command, machine, peak_memory

RECORDS = contest_report.RECORDS
EVALUATIONS = 12
WARM_UP = 0.05  # share of the time
PICTURED_CLIPS = 6
_TICKS = 1_000_000  # of the schedule, which counts in whole steps
_CACHE_BYTES = 8 * 2**30


def main() -> None:
    arguments = parse()
    if arguments.report:
        contest_report.write(arguments.report, arguments.out)
    else:
        run(arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tokenizer_contest", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--report", type=Path, nargs="+", metavar="DIR", help="a table and curves of runs that are done")
    add("--out", type=Path, required=True, help="folder for what is written")
    add("--contestant", help=f"configs/tokenizer/NAME.yaml, or {', '.join(PEERS)}")
    add("--clips", type=Path, help="folder of clips or a captions.jsonl")
    add("--where", nargs="*", default=[], metavar="KEY=VALUE", help="clips that have any of these; else all")
    add("--subject", nargs="*", default=[], metavar="KEY", help="no value of these is in both sets of clips")
    add("--held-out", type=int, default=24, help="clips of each group for evaluation")
    add("--split-seed", type=int, default=0, help="which clips those are")
    add("--size", type=int, default=64, help="height and width")
    add("--frames", type=int, default=17)
    add("--fps", type=float, default=8.0)
    add("--batch", type=int, default=4)
    add("--minutes", type=float, default=10.0)
    add("--clock", choices=("wall", "cpu"), default="wall", help="cpu: CPU seconds / threads, if others work")
    add("--threads", type=int, default=2)
    add("--seed", type=int, default=0, help="of weights and batches")
    add("--bf16", action="store_true", help="products in bfloat16")
    add("--learning-rate", type=float, help="peak; the contestant's own if not given")
    add("--layers", choices=PEER_LAYERS, default="convolutions", help="of magvit2-pytorch")
    add("--channels", type=int, default=64, help="of magvit2-pytorch's first stage")
    arguments = parser.parse_args()
    if not (arguments.report or (arguments.clips and arguments.contestant)):
        parser.error("give --clips and --contestant, or --report")
    return arguments


def run(arguments: argparse.Namespace) -> None:
    """Train and evaluate one contestant."""
    torch.set_num_threads(arguments.threads)
    entries = chosen_entries(arguments.clips, arguments.where)
    held_out, training = split(entries, arguments.subject, arguments.held_out, arguments.split_seed)
    reader = ClipReader(arguments.fps, sample_rate=None, needs_sound=False)
    files = WindowReader(reader, entries, Probes(entries), _CACHE_BYTES)
    shape = {"height": arguments.size, "width": arguments.size, "num_frames": arguments.frames}
    held_out, training = (usable(files, members, shape) for members in (held_out, training))
    batches = FileClips(files, training, **shape, seed=arguments.seed, shuffle=True)
    references = FileClips(files, held_out, **shape, seed=arguments.seed, shuffle=False)
    frames = torch.stack([references[index]["frames"] for index in range(len(held_out))])
    groups = [group_of(entries[index]) for index in held_out]

    torch.manual_seed(arguments.seed)
    contestant = build(
        arguments.contestant, arguments.size, arguments.learning_rate, arguments.layers, arguments.channels
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / RECORDS).open("w", encoding="utf-8") as file:
        for record in records(arguments, contestant, batches, frames, groups):
            line = json.dumps(record)
            print(line, flush=True)
            file.write(line + "\n")
            file.flush()
    picture(contestant, frames, groups, arguments)


def records(
    arguments: argparse.Namespace,
    contestant: Contestant,
    batches: FileClips,
    frames: UInt8[Tensor, "clips frames height width 3"],
    groups: list[str],
) -> Iterator[Record]:
    """The settings of a run, then its evaluations, while it trains."""
    yield {
        "event": "start",
        "contestant": arguments.contestant,
        "parameters": contestant.num_parameters,
        "codebook_size": contestant.codebook_size,
        "seed": arguments.seed,
        "learning_rate": max(group["lr"] for group in contestant.optimizer.param_groups),
        "layers": f"{arguments.layers}, {arguments.channels}" if arguments.contestant in PEERS else None,
        "protocol": {
            **{
                name: getattr(arguments, name)
                for name in ("where", "subject", "held_out", "split_seed", "size", "frames", "fps", "batch")
            },
            **{name: getattr(arguments, name) for name in ("minutes", "clock", "threads", "bf16")},
            "training_clips": len(batches.members),
            "held_out_clips": len(frames),
        },
        "machine": machine(arguments.threads),
    }
    warm_up(contestant, batches, arguments.batch)
    clock = TrainingClock(arguments.clock, arguments.threads)
    for step in train(contestant, batches, arguments, clock):
        with clock.paused(), evaluating(contestant):
            reconstructed = [
                contestant.reconstruct(pixels_from_frames(part)) for part in frames.split(arguments.batch)
            ]
            pixels = torch.cat([part.float() for part, _ in reconstructed])
            codes = torch.cat([part.flatten() for _, part in reconstructed])
            yield {
                "event": "evaluation",
                "seconds": clock.seconds,
                "step": step,
                "peak_gb": peak_memory() / 1e9,
                **scores(frames, pixels, groups, codes, contestant.codebook_size),
            }


def train(
    contestant: Contestant, batches: FileClips, arguments: argparse.Namespace, clock: "TrainingClock"
) -> Iterator[int]:
    """Train until the time is up; stops for each evaluation that is due, with the number of steps done.

    The step that runs when the time is up is finished. A step that is longer than the time between two
    evaluations leaves one of them out.
    """
    peaks = [group["lr"] for group in contestant.optimizer.param_groups]
    parameters = list(contestant.network.parameters())
    step, due = 0, 1
    contestant.network.train()
    while due <= EVALUATIONS:
        share = clock.seconds / (60 * arguments.minutes)
        factor = warmup_cosine(int(share * _TICKS), int(WARM_UP * _TICKS), _TICKS)
        for group, peak in zip(contestant.optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        pixels = pixels_of(batches, range(step * arguments.batch, (step + 1) * arguments.batch))
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.bf16):
            loss = contestant.loss(pixels, step)
        if not loss.isfinite():
            raise ValueError(f"the loss of {arguments.contestant} is {loss.item()} at step {step}")
        contestant.optimizer.zero_grad()
        loss.backward()
        if contestant.max_gradient_norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters, contestant.max_gradient_norm)
        contestant.optimizer.step()
        step += 1
        passed = int(clock.seconds / (60 * arguments.minutes) * EVALUATIONS)
        if passed >= due:
            yield step
            due = passed + 1


def warm_up(contestant: Contestant, batches: FileClips, batch: int) -> None:
    """One step's loss and gradients for nothing: a process's first ones load code and choose kernels."""
    contestant.network.train()
    contestant.loss(pixels_of(batches, range(batch)), 0).backward()
    contestant.optimizer.zero_grad()


def pixels_of(batches: FileClips, draws: range) -> Float[Tensor, "batch 3 frames height width"]:
    return pixels_from_frames(torch.stack([batches[draw]["frames"] for draw in draws]))


class TrainingClock:
    """Seconds since it was made, less those inside `paused`.

    Args:
        kind: `wall`, or `cpu` for the process's CPU seconds divided by `threads`.
    """

    def __init__(self, kind: str, threads: int):
        self.read = time.perf_counter if kind == "wall" else lambda: time.process_time() / threads
        self.start = self.read()
        self.paused_at: float | None = None

    @property
    def seconds(self) -> float:
        return (self.read() if self.paused_at is None else self.paused_at) - self.start

    @contextmanager
    def paused(self) -> Iterator[None]:
        self.paused_at = self.read()
        try:
            yield
        finally:
            self.start += self.read() - self.paused_at
            self.paused_at = None


@contextmanager
def evaluating(contestant: Contestant) -> Iterator[None]:
    """Evaluation mode without gradients, and training mode afterwards."""
    contestant.network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        contestant.network.train()


def chosen_entries(clips: Path, where: list[str]) -> list[Entry]:
    """Entries of a list of clips that have any of the wished values, in the order of the wishes."""
    if not where:
        return read_manifest(clips)
    wishes = [wish.partition("=") for wish in where]
    if not all(equals for _, equals, _ in wishes):
        raise ValueError(f"--where is {' '.join(where)}; expected KEY=VALUE, such as group=faces")
    return [entry for key, _, value in wishes for entry in read_manifest(clips, {key: value})]


def split(entries: list[Entry], subject: list[str], count: int, seed: int) -> tuple[list[int], list[int]]:
    """Indices of held-out entries and of those to train on.

    Of each group whole subjects, in an order drawn by `seed`, are set aside until `count` clips are; the
    first `count` of these are held out, and what is left over of the last subject is not used.

    Args:
        subject: keys whose values together say who is seen; an entry that has none of them is a subject of
            its own.
        count: held-out entries of each group.

    Raises:
        ValueError: if a group has too few entries to train on anything.
    """
    held_out, training = [], []
    for group in sorted({group_of(entry) for entry in entries}):
        members = [index for index, entry in enumerate(entries) if group_of(entry) == group]
        subjects: dict[Any, list[int]] = {}
        for index in members:
            subjects.setdefault(_subject(entries[index], subject), []).append(index)
        order = np.random.default_rng(seed).permutation(len(subjects))
        clips_of = [list(subjects.values())[position] for position in order]
        aside: list[int] = []
        while clips_of and len(aside) < count:
            aside += clips_of.pop()
        if not clips_of:
            raise ValueError(f"group {group} has {len(members)} clips; {count} held out leave none to train")
        held_out += aside[:count]
        training += sorted(index for clips in clips_of for index in clips)
    return held_out, training


def usable(files: WindowReader, members: list[int], shape: dict[str, int]) -> list[int]:
    """The members that can be read, of which short ones are then in memory; names the others on stderr."""
    found = []
    for index in members:
        clip = files.read(index, **shape)
        if isinstance(clip, str):
            print(f"left out: {clip}", file=sys.stderr)
        else:
            found.append(index)
    if not found:
        raise ValueError(f"none of {len(members)} clips can be used; the reasons stand above")
    return found


def group_of(entry: Entry) -> str:
    return str(entry.extra.get("group", "clips"))


def picture(
    contestant: Contestant,
    frames: UInt8[Tensor, "clips frames height width 3"],
    groups: list[str],
    arguments: argparse.Namespace,
) -> None:
    """Write held_out.png: held-out clips of the groups in turn, what became of them below."""
    names = sorted(set(groups))
    by_group = [[clip for clip, group in enumerate(groups) if group == name] for name in names]
    in_turn = [clip for turn in zip_longest(*by_group) for clip in turn if clip is not None]
    shown = frames[in_turn[:PICTURED_CLIPS]]
    with evaluating(contestant):
        pixels, _ = contestant.reconstruct(pixels_from_frames(shown))
    save_comparison(shown, frames_from_pixels(pixels), arguments.out / "held_out.png")


def _subject(entry: Entry, keys: list[str]) -> Any:
    values = tuple((key, str(entry.extra[key])) for key in keys if key in entry.extra)
    return values or str(entry.path)


if __name__ == "__main__":
    command(main)
