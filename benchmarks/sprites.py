"""Are captions of real clips followed in combinations that were never seen together?

    python -m benchmarks.sprites split captions.jsonl --out runs/sprites
    # then what stands at the head of configs/tokenizer/sprites-128.yaml and configs/lm/sprites-128.yaml
    mkdir runs/sprites/made
    videolm generate --model runs/sprites/model --task text_to_video --prompts runs/sprites/prompts.jsonl \\
        --out runs/sprites/made --temperature 0.5 --guidance-scale 2
    python -m benchmarks.sprites score runs/sprites --model runs/sprites/model \\
        --generated runs/sprites/made --sheet docs/sprites.png

The clips are pixel-art characters (`group=lpc_sprites`) whose lines say, beside the caption, which action,
direction, skin, hair and clothes they show. `split` holds out five pairs of an action and a top: every clip
with such a pair goes to held_out.jsonl, with its caption in prompts.jsonl, all others to train.jsonl.

`score` asks which real clip, of all of them, a generated one is nearest to (least squared difference of
pixels), and what that one shows. A model that repeats clips it has learnt never shows a held-out pair.
"""

import argparse
import json
import random
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from videolm.data.media.clip import Clip
from videolm.data.media.reading import read_clip
from videolm.data.runtime.device import device_of
from videolm.data.sources.entry import Entry
from videolm.data.sources.manifest import read_files
from videolm.examples.sprites.scenes import HELD_OUT_PAIRS
from videolm.generation.pipeline import VideoLM

from .measuring import Record, command, markdown_table

KEYS = ("action", "direction", "body", "hair", "topwear", "bottomwear", "shoes")
_ROWS = 64  # real clips whose distances are computed together
_SAME_OF_ALL = " Pixel art on a black background."  # what every caption ends with
# Of the sheet: frames of a clip, least height of a frame, width of a letter, height of a line and of a gap.
_FRAMES, _LEAST_HEIGHT, _LETTER, _LINE, _GAP = 9, 64, 7, 13, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    split_verb = verbs.add_parser("split")
    split_verb.add_argument("source")
    split_verb.add_argument("--out", type=Path, required=True)
    split_verb.add_argument("--seed", type=int, default=0)
    score_verb = verbs.add_parser("score")
    score_verb.add_argument("lists", type=Path, help="what split wrote")
    score_verb.add_argument("--model", type=Path, required=True)
    score_verb.add_argument("--generated", type=Path, required=True)
    score_verb.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    if arguments.verb == "split":
        split(arguments.source, arguments.out, arguments.seed)
    else:
        model = VideoLM.from_pretrained(arguments.model).to(device_of())
        score(arguments.lists, model, arguments.generated, arguments.sheet)


def split(source: str, out: Path, seed: int) -> None:
    """Write the three lists, in an order drawn by `seed`: what is last is held out again by each training."""
    entries = read_files(source, {"group": "lpc_sprites"})
    random.Random(seed).shuffle(entries)
    held_out = [entry for entry in entries if is_held_out(entry)]
    prompts = [{"text": entry.caption, "name": entry.path.stem} for entry in held_out]
    lines = {
        "train": [entry.to_json() for entry in entries if not is_held_out(entry)],
        "held_out": [entry.to_json() for entry in held_out],
        "prompts": prompts,
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, values in lines.items():
        text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        (out / f"{name}.jsonl").write_text(text, encoding="utf-8")
        print(f"{out / name}.jsonl: {len(values)} clips")


def is_held_out(entry: Entry) -> bool:
    return HELD_OUT_PAIRS[entry.extra["action"]] == entry.extra["topwear"]


@dataclass(frozen=True)
class Shown:
    """A clip that was made for a held-out entry, as it was made and as the tokenizer alone gives it."""

    entry: Entry
    real: Clip
    decoded: Clip
    made: Clip


def score(lists: Path, model: VideoLM, generated: Path, sheet: Path | None) -> None:
    """Print what the nearest real clips show; write a sheet of one clip of each pair."""
    held_out = read_files(str(lists / "held_out.jsonl"), {})
    made = {path.stem: path for path in sorted(generated.glob("*.mp4"))}
    held_out = [entry for entry in held_out if entry.path.stem in made]
    if not held_out:
        raise ValueError(f"{generated} has no clip named as one of {lists / 'held_out.jsonl'}")
    shown = [_shown(model, entry, made[entry.path.stem]) for entry in held_out]
    entries = read_files(str(lists / "train.jsonl"), {}) + read_files(str(lists / "held_out.jsonl"), {})
    reals = torch.stack([_real(model, entry).frames for entry in entries])
    rows = [
        {"clips": name} | shares(held_out, [entries[index] for index in nearest(clips, reals)])
        for name, clips in {
            "generated": [each.made for each in shown],
            "real, through the tokenizer": [each.decoded for each in shown],
        }.items()
    ]
    print(f"{len(shown)} clips of held-out pairs, nearest of {len(entries)} real clips\n")
    print(markdown_table([*rows, {"clips": "chance"} | chance(held_out, entries)]))
    if sheet is not None:
        picture([_of_pair(shown, action) for action in HELD_OUT_PAIRS]).quantize().save(sheet, optimize=True)


def shares(wanted: Sequence[Entry], found: Sequence[Entry]) -> Record:
    """How often the found clips show what the wanted ones do: each key, the held-out pair, everything."""
    pairs = list(zip(wanted, found, strict=True))

    def share(*keys: str) -> float:
        return sum(all(a.extra[key] == b.extra[key] for key in keys) for a, b in pairs) / len(pairs)

    single = {key: share(key) for key in KEYS}
    return single | {"action and top": share("action", "topwear"), "all": share(*KEYS)}


def chance(wanted: Sequence[Entry], entries: Sequence[Entry]) -> Record:
    """The same for any real clip."""
    every = [shares(wanted, [entry] * len(wanted)) for entry in entries]
    return {key: sum(each[key] for each in every) / len(every) for key in every[0]}


def nearest(clips: Sequence[Clip], reals: UInt8[Tensor, "n frames height width 3"]) -> list[int]:
    """For each clip the real one of the least squared difference."""
    own = torch.stack([clip.frames for clip in clips]).flatten(1).float()
    # The squared lengths of `own` are left out: they are the same for every real clip.
    distances: list[Float[Tensor, "clips rows"]] = []
    for rows in reals.split(_ROWS):
        against = rows.flatten(1).float()
        distances.append(against.square().sum(1) - 2 * own @ against.T)
    return torch.cat(distances, dim=1).argmin(1).tolist()


def _shown(model: VideoLM, entry: Entry, made: Path) -> Shown:
    real = _real(model, entry)
    return Shown(entry, real, model.decode(model.encode(real)), read_clip(made))


def _real(model: VideoLM, entry: Entry) -> Clip:
    """The entry's beginning in the model's format: what a prompt with its caption asks for."""
    sizes = model.clips
    clip = read_clip(entry.path, fps=sizes.fps, height=sizes.height, width=sizes.width)
    return clip.window(0, sizes.num_frames)


def _of_pair(shown: Sequence[Shown], action: str) -> Shown:
    """The first clip with the action, unselected."""
    return next(each for each in shown if each.entry.extra["action"] == action)


def picture(shown: Sequence[Shown]) -> Image.Image:
    """Real clips above, generated ones below, their captions under them."""
    blocks = [_block(each) for each in shown]
    width, height = max(block.width for block in blocks), sum(block.height for block in blocks)
    sheet = Image.new("RGB", (width, height + _GAP * (len(blocks) - 1)), "white")
    top = 0
    for block in blocks:
        sheet.paste(block, (0, top))
        top += block.height + _GAP
    return sheet


def _block(shown: Shown) -> Image.Image:
    height, every = shown.real.height, -(-shown.real.num_frames // _FRAMES)
    strips = torch.cat([torch.cat(list(clip.frames[::every]), dim=1) for clip in (shown.real, shown.made)])
    frames, scale = Image.fromarray(strips.numpy()), -(-_LEAST_HEIGHT // height)
    frames = frames.resize((frames.width * scale, frames.height * scale), Image.Resampling.NEAREST)
    lines = textwrap.wrap((shown.entry.caption or "").removesuffix(_SAME_OF_ALL), frames.width // _LETTER)
    block = Image.new("RGB", (frames.width, frames.height + _LINE * len(lines)), "white")
    block.paste(frames, (0, 0))
    draw = ImageDraw.Draw(block)
    for number, line in enumerate(lines):
        draw.text((2, frames.height + _LINE * number), line, fill="black")
    return block


if __name__ == "__main__":
    command(main)
