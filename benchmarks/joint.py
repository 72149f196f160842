"""Sampling of digits beside sampling of whole codes, by a trained model: how far apart the distributions are.

    python -m benchmarks.joint runs/demo/model

At positions of held-out clips of the embedded corpus, with all codes before them given: total variation (0:
the same, 1: nothing in common) to what a flat softmax over all codes gives at the same temperature and top-p,
of digit by digit and of codes with some of the likeliest first digits. Codes must have two digits.
"""

import argparse
import json
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from videolm.data.media.clip import Clip
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt import Prompt
from videolm.lm.batch import Batch
from videolm.lm.decoding.drawing import likeliest

from .measuring import Record, command, markdown_table
from .parallel import TASK, held_out

SETTINGS = ((1.0, 0.95), (1.0, 0.8), (0.7, 1.0), (0.5, 1.0), (0.3, 1.0))
BEGINNINGS = (4, 16, 64)
CLIPS, POSITIONS = 8, 64


@torch.inference_mode()
def main() -> None:
    arguments = parse()
    model = VideoLM.from_pretrained(arguments.model)
    if len(model.lm.heads["visual"].digits) != 2:
        raise ValueError(f"{arguments.model} does not predict visual codes by two digits")
    corpus = held_out(model, arguments.source)
    states = torch.cat([hidden_states(model, corpus[index]) for index in range(CLIPS)])
    chosen = torch.randperm(len(states), generator=torch.Generator().manual_seed(0))[:POSITIONS]
    found: dict[tuple[float, float], list[Record]] = {setting: [] for setting in SETTINGS}
    for first, second in digits(model, states[chosen]):
        for setting, distances in found.items():
            distances.append(distances_of(first, second, *setting))
    print(json.dumps({"positions": len(chosen), "grid": model.clips.grid}))
    print(markdown_table([row(*setting, distances) for setting, distances in found.items()]))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.joint", description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a model with the task text_to_video")
    parser.add_argument("--source", default="synthetic-plain", help="embedded corpus it was trained on")
    return parser.parse_args()


def hidden_states(model: VideoLM, clip: Clip) -> Float[Tensor, "codes dim"]:
    """From which each code of the clip is predicted."""
    row = model.rows.row(model.config.task(TASK), Prompt(text=clip.caption), guidance_scale=1.0)
    batch = Batch.collate([row.layout.pack(row.parts | model.encode(clip))])
    return model.lm(batch)[0, (~row.layout.forced).nonzero().squeeze(1) - 1]


def digits(
    model: VideoLM, states: Float[Tensor, "codes dim"]
) -> Iterator[tuple[Float[Tensor, " low"], Float[Tensor, "low high"]]]:
    """For every state the logits of the first digit, and those of the second after each first one."""
    head = model.lm.heads["visual"]
    low = torch.arange(head.digits[0].out_features)
    for state in states:
        yield head.logits(state[None])[0].double(), head.logits(state.expand(len(low), -1), [low]).double()


def distances_of(first: Tensor, second: Tensor, temperature: float, top_p: float) -> Record:
    """Total variation of each way to the flat distribution."""
    scores = (first.log_softmax(-1)[:, None] + second.log_softmax(-1)) / temperature
    flat = cut(scores.flatten(), top_p)
    digitwise = cut(first / temperature, top_p)[:, None] * cut(second / temperature, top_p)
    found = {"digit by digit": digitwise.flatten()}
    for count in BEGINNINGS:
        left_out = torch.ones_like(first, dtype=torch.bool)
        left_out[first.topk(count).indices] = False
        some = scores.masked_fill(left_out[:, None], float("-inf"))
        found[f"of {count} first digits"] = cut(some.flatten(), top_p)
    return {name: ((probability - flat).abs().sum() / 2).item() for name, probability in found.items()}


def cut(logits: Float[Tensor, "*rows classes"], top_p: float) -> Float[Tensor, "*rows classes"]:
    """Probabilities of the likeliest that together reach top_p."""
    if top_p == 1:
        return logits.softmax(-1)
    many = logits.view(-1, logits.shape[-1])
    kept, classes = likeliest(many, None, top_p)
    return torch.zeros_like(many).scatter_(1, classes, kept.softmax(-1)).view_as(logits)


def row(temperature: float, top_p: float, distances: list[Record]) -> Record:
    means = {name: sum(each[name] for each in distances) / len(distances) for name in distances[0]}
    return {"temperature": temperature, "top-p": top_p} | means


if __name__ == "__main__":
    command(main)
