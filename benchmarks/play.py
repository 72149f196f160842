"""Frames a second of a dream: one world as `videolm play` shows it, and several side by side.

    python -m benchmarks.play                                       # the packaged model minigrid
    python -m benchmarks.play --model runs/maze/model --env minigrid:MiniGrid-SimpleCrossingS9N1-v0

Random actions on one thread, after the window has been full once; CPU seconds of the process, the decoding of
pictures included and the real environment, which gives the first pictures, not. `slowest` is the longest step
of all rows together by the clock: the one in which a window begins anew.
"""

import argparse
import json
import time

import torch

from videolm import VideoLM
from videolm.data.runtime.model_source import model_folder
from videolm.generation.world.real_beside import open_beside
from videolm.generation.world.rollout import RolloutSettings
from videolm.generation.world.starts import start_of
from videolm.generation.world.worlds import Worlds
from videolm.lm.decoding.sampling import Sampling

from .measuring import Record, command, machine, markdown_table

DECODINGS = ("jacobi", "sequential")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.play", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="minigrid")
    parser.add_argument("--env", default="minigrid:MiniGrid-Empty-Random-6x6-v0")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4, 16, 64], help="worlds side by side")
    parser.add_argument("--frames", type=int, default=256, help="timed, of all rows together, at least")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(machine(threads=1)))
    model = VideoLM.from_pretrained(model_folder(options.model), "cpu", tasks=["world"])
    with open_beside(model, options.env) as environment:
        pictures = [environment.reset(seed).picture.numpy() for seed in range(max(options.rows))]
    rows = [
        measure(model, pictures[:count], decoding, options.frames)
        for count in options.rows
        for decoding in DECODINGS
    ]
    print(markdown_table(rows))


def measure(model: VideoLM, pictures: list, decoding: str, frames: int) -> Record:
    """Of as many worlds as there are pictures."""
    worlds = Worlds(model, RolloutSettings(sampling=Sampling(decoding=decoding)))
    numbers, generator = list(range(len(pictures))), torch.Generator().manual_seed(0)
    worlds.begin(numbers, [start_of(model, each) for each in pictures], numbers)

    def step() -> int:
        actions = torch.stack([worlds.space.sample(worlds.stride, generator) for _ in numbers])
        return sum(len(moment.frames) for moment in worlds.act(numbers, actions))

    window = model.config.lengths.t
    for _ in range(window):
        step()
    steps = max(-(-frames // (len(pictures) * worlds.stride)), window)
    begun, clock, slowest, made = time.process_time(), time.perf_counter(), 0.0, 0
    for _ in range(steps):
        made += step()
        clock, before = time.perf_counter(), clock
        slowest = max(slowest, clock - before)
    rate = made / (time.process_time() - begun)
    grid = model.clips.grid
    return {
        "worlds": len(pictures), "decoding": decoding, "codes a frame": grid[1] * grid[2],
        "frames a CPU second": rate, "of each world": rate / len(pictures), "slowest, ms": 1000 * slowest,
    }  # fmt: skip


if __name__ == "__main__":
    command(main)
