"""Do long videos keep what they show, and do their windows join?

    python -m benchmarks.drift --model runs/demo/model --source synthetic-plain --seconds 10 --clips 16

Objects that bounce and spin, so that they stay in view, are made from their captions and gone on from real
clips. In windows over time `describe` reads colour and shape; beside them the same clips' beginnings after as
many rounds through the tokenizer alone. Below, how sounds and pictures fit where windows join.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch

from videolm.data.media.clip import Clip
from videolm.data.synthetic.caption_grammar import caption_of
from videolm.data.synthetic.scene import LASTING_MOTIONS, Scene
from videolm.evaluation.protocols.shapes_exam import corpus_of
from videolm.generation.best_of import fit_of
from videolm.generation.long_video.drift import read_correctly, rounds, rounds_at, windows
from videolm.generation.long_video.long_video import LongPrompt, generate_long
from videolm.generation.long_video.script import Line, Segment
from videolm.generation.pipeline import VideoLM
from videolm.lm.decoding.sampling import Sampling

from .measuring import Record, command, cpu_seconds, machine, markdown_table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--source", default="synthetic-plain")
    parser.add_argument("--split", default="all")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--guidance-scale", type=float, default=1.0)
    parser.add_argument("--given", type=int)
    parser.add_argument("--best-of", type=int, default=1, help="tries of each segment, judged by describe")
    parser.add_argument("--silent", action="store_true", help="leave out the sound, for speed")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(machine(torch.get_num_threads()), end="\n\n")
    model = VideoLM.from_pretrained(arguments.model)
    scenes, clips = moving(model, arguments.source, arguments.split, arguments.clips, arguments.seed)
    sampling = Sampling(arguments.temperature, guidance_scale=arguments.guidance_scale)
    lines = [[Line(caption_of(scene, scene.phrasing))] for scene in scenes]
    settings = {"seconds": arguments.seconds, "given": arguments.given, "silent": arguments.silent}
    ways = {
        "from captions": [LongPrompt(own, **settings) for own in lines],
        "from real clips, with captions": [
            LongPrompt(own, video=clip, **settings) for own, clip in zip(lines, clips, strict=True)
        ],
    }
    for name, prompts in ways.items():
        seconds, made = cpu_seconds(
            lambda all_of=prompts: long_videos(model, all_of, sampling, arguments.best_of)
        )
        print(f"{name}: {seconds / len(made):.1f} CPU s a video\n")
        print(over_time(model, scenes, made), end="\n\n")
        print(joins([report for _, report in made]), end="\n\n")


def moving(
    model: VideoLM, source: str, split: str, number: int, seed: int
) -> tuple[list[Scene], list[Clip]]:
    """Scenes of the corpus whose object stays in view, equally many of each motion, and their clips."""
    corpus = corpus_of(model, source, split, seed)
    chosen: dict[str, list[int]] = {motion: [] for motion in LASTING_MOTIONS}
    index = 0
    while sum(map(len, chosen.values())) < number:
        found = chosen.get(corpus.scene(index).motion)
        if found is not None and len(found) < -(-number // len(LASTING_MOTIONS)):
            found.append(index)
        index += 1
    indices = [index for found in chosen.values() for index in found]
    return [corpus.scene(index) for index in indices], [corpus[index] for index in indices]


def long_videos(
    model: VideoLM, prompts: Sequence[LongPrompt], sampling: Sampling, best_of: int
) -> list[tuple[Clip, dict[str, Any]]]:
    """Video n with the seeds from 1000 n on."""
    return [
        generate_long(
            model, prompt, seed=1000 * number, sampling=sampling, best_of=best_of, fit=fit_of("describe")
        )
        for number, prompt in enumerate(prompts)
    ]


def over_time(model: VideoLM, scenes: Sequence[Scene], made: Sequence[tuple[Clip, dict[str, Any]]]) -> str:
    """Shares of right readings, window by window."""
    size = model.clips.num_frames
    cut = [windows(clip, size) for clip, _ in made]
    rows = made[0][1]["segments"]
    segments = [Segment(row["number"], row["first_frame"], None, row["given_frames"]) for row in rows]
    most = rounds_at(segments, made[0][0].num_frames)
    again = [rounds(model, clip.window(0, size), most) for clip, _ in made]
    table: list[Record] = []
    for number in range(len(cut[0])):
        turns = rounds_at(segments, number * size + size - 1)
        own = read_correctly([each[number] for each in cut], scenes)
        alone = read_correctly([each[turns] for each in again], scenes)
        table.append(
            {"seconds": (number + 1) * size / model.clips.fps, "segments": turns}
            | asdict(own)
            | {f"{name}, rounds alone": share for name, share in asdict(alone).items()}
        )
    return markdown_table(table)


def joins(reports: Sequence[dict[str, Any]]) -> str:
    """Medians over all joins, and what one in ten exceeds (of the agreement: falls below)."""
    segments = [segment for report in reports for segment in report["segments"]]
    pictures = [segment["picture"] for segment in segments if "picture" in segment]
    sounds = [segment["sound"] for segment in segments if "sound" in segment]
    levels = [each["level_db"] for each in sounds if each["level_db"] is not None]
    found = {
        "picture: change / usual": [each["change"] / each["usual"] for each in pictures if each["usual"]],
        "sound: step / usual": [each["step"] for each in sounds if each["step"] is not None],
        "sound: level, dB either way": [abs(level) for level in levels],
        "sound: disagreement (1 - correlation)": [1 - each["agreement"] for each in sounds],
    }
    return markdown_table(
        [
            {"join": name, "median": median(values), "one in ten above": tenth(values), "joins": len(values)}
            for name, values in found.items()
            if values
        ]
    )


def tenth(values: Sequence[float]) -> float:
    return sorted(values)[int(0.9 * (len(values) - 1))]


if __name__ == "__main__":
    command(main)
