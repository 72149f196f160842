"""Parallel decoding of a trained model beside sequential: passes, CPU time, right guesses by region.

    python -m benchmarks.parallel runs/demo/model                        # temperature 1
    python -m benchmarks.parallel runs/demo/model --temperature 0.3 --windows 4 8 --clips 4

Captions of the embedded corpus whose combinations training never shows, one clip at a time, one thread, CPU
seconds. Every clip is decoded in all ways in turn. A code is `accepted` if the pass that decided it had read
it as a guess, so that the next code came for nothing; `still` and `moving` tell the codes after the first
latent apart by the picture that they decode to.
"""

import argparse
import json
from dataclasses import dataclass

import torch
from einops import reduce
from jaxtyping import Bool, Int
from torch import Tensor

from videolm.data.synthetic.caption_grammar import caption_of
from videolm.data.synthetic.corpus import Corpus, corpus_scenes
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt import Prompt
from videolm.lm.decoding.sampling import DrawSettings

from .contest_scores import moving
from .measuring import Record, command, cpu_seconds, machine, markdown_table

TASK = "text_to_video"


@dataclass(frozen=True, eq=False)
class Decoded:
    """A clip's codes, the CPU seconds and passes that they took, and which codes were accepted guesses."""

    codes: Int[Tensor, "t h w"]
    seconds: float
    passes: int
    accepted: Bool[Tensor, "t h w"]


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    model = VideoLM.from_pretrained(arguments.model)
    options = {"temperature": arguments.temperature, "guidance_scale": arguments.guidance_scale}
    ways = {"sequential": DrawSettings(**options)}
    for window in arguments.windows:
        ways[f"jacobi, {window}"] = DrawSettings(**options, decoding="jacobi", window=window)
    corpus = held_out(model, arguments.source)
    texts = [caption_of(corpus.scene(index), 0) for index in range(arguments.clips)]
    print(json.dumps(machine(threads=1) | {"clips": len(texts), "grid": model.clips.grid} | options))
    decode(model, texts[0], 0, ways["sequential"])
    decoded: dict[str, list[Decoded]] = {name: [] for name in ways}
    for seed, text in enumerate(texts):
        for name, how in ways.items():
            decoded[name].append(decode(model, text, seed, how))
    sequential = decoded["sequential"]
    moves = torch.stack([moving_codes(model, each.codes) for each in sequential])
    rows = [row(name, own, sequential, moves) for name, own in decoded.items()]
    print(markdown_table(rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parallel", description=__doc__.splitlines()[0]
    )
    parser.add_argument("model", help="folder of a model with the task text_to_video")
    parser.add_argument("--source", default="synthetic-plain", help="embedded corpus it was trained on")
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--windows", type=int, nargs="+", default=[2, 4, 8, 16, 32], metavar="N")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--guidance-scale", type=float, default=1.0)
    return parser.parse_args()


def held_out(model: VideoLM, source: str) -> Corpus:
    """Clips of combinations of colour, shape and motion that are kept out of training, silent."""
    clips = model.clips
    sizes = {"height": clips.height, "width": clips.width, "num_frames": clips.num_frames, "fps": clips.fps}
    return Corpus(split="triples", sample_rate=None, scenes=corpus_scenes(source), **sizes)


def decode(model: VideoLM, text: str, seed: int, how: DrawSettings) -> Decoded:
    counts: list[int] = []

    def run() -> Int[Tensor, "t h w"]:
        stream = model.stream(TASK, Prompt(text=text), seed=seed, sampling=how)
        counts.extend(stream.generation)
        return stream.codes["visual"]

    seconds, codes = cpu_seconds(run)
    accepted = torch.ones(codes.numel(), dtype=torch.bool)
    accepted[torch.tensor(counts) - 1] = False  # each pass decides one code that it did not read
    return Decoded(codes, seconds, len(counts), accepted.view(codes.shape))


def moving_codes(model: VideoLM, codes: Int[Tensor, "t h w"]) -> Bool[Tensor, "t h w"]:
    """Codes in whose block of pixels something moves; none in the first latent."""
    t, h, w = codes.shape
    moves = moving(model.decode({"visual": codes}).frames[None])[0, 1:]
    blocks = reduce(moves, "(t frames) (h height) (w width) -> t h w", "max", t=t - 1, h=h, w=w)
    return torch.cat([torch.zeros_like(blocks[:1]), blocks])


def row(
    name: str, decoded: list[Decoded], sequential: list[Decoded], moves: Bool[Tensor, "clips t h w"]
) -> Record:
    """Passes, CPU time and the share of accepted codes by region, beside sequential decoding."""
    accepted = torch.stack([each.accepted for each in decoded]).float()
    later = torch.ones_like(moves)
    later[:, 0] = False
    passes, seconds = sum(each.passes for each in decoded), sum(each.seconds for each in decoded)
    same = [torch.equal(each.codes, other.codes) for each, other in zip(decoded, sequential, strict=True)]
    return {
        "decoding": name,
        "passes a clip": passes / len(decoded),
        "times fewer": sum(each.passes for each in sequential) / passes,
        "CPU ms a clip": seconds / len(decoded) * 1e3,
        "times faster": sum(each.seconds for each in sequential) / seconds,
        "accepted, first latent": accepted[~later].mean().item(),
        "accepted, still": accepted[later & ~moves].mean().item(),
        "accepted, moving": accepted[moves].mean().item(),
        "the same clips": f"{sum(same)} of {len(same)}",
    }


if __name__ == "__main__":
    command(main)
