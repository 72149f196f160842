"""The protocol "super-resolution": how much of what codes of low resolution lose does a stage bring back?

    videolm evaluate --model runs/mine/model --protocol super-resolution --clips 32

Held-out clips of the embedded corpus at the large size, and their bicubic parts in codes, which are all that
a stage is shown. The rows that are compared with the true clip:

    codes enlarged     the decoded low-resolution codes, enlarged bicubically: 0 of the gap
    pixels enlarged    the true low-resolution pixels, enlarged likewise
    made               by the stage; at 4, 8, 12 and 24 steps
    codes dropped      by the stage from the text alone: a control, far worse if the codes are used
    text dropped       by the stage without the text
    its own codes      the reconstruction by the large clips' tokenizer: 1 of the gap

A gap below 2 dB says nothing of a stage. What the language model makes itself has no true clip: there the
share of the caption's words that `describe` reads is compared, before and after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from ...data.media.pixels import pixels_from_frames
from ...data.runtime.progress import progress
from ...data.synthetic.corpus import Corpus, corpus_scenes
from ...generation.best_of import DescribedFit
from ...generation.pipeline import VideoLM
from ...generation.upscaling import Stage
from ...super_resolution.batch import Condition
from ...super_resolution.decoding import DecodeSettings, decode
from ...super_resolution.low_resolution import reduced, resized
from ...tasks.training_data.pairs import PairMaker
from ...tasks.training_data.super_resolution_samples import frames_of
from ..metrics.reconstruction import frame_quality

STEPS = (4, 8, 12, 24)
LOWER, UPPER, MADE, PIXELS = "codes enlarged", "its own codes", "made", "pixels enlarged"
LEAST_GAP_DB = 2.0
_EDGES = 0.05  # of the pixels, those with the steepest change
_PAINTED_BY = "text_to_video"

Frames = UInt8[Tensor, "frames height width 3"]


@dataclass(frozen=True)
class StageScores:
    """Scores of a stage.

    Args:
        report: for JSON.
        sheets: of the first clips, rows of frames and of what they are.
    """

    report: dict[str, Any]
    sheets: list[list[tuple[Tensor, str]]]


@torch.no_grad()
def run_super_resolution(
    model: VideoLM, name: str, source: str, clips: int, seed: int, examples: int = 3
) -> StageScores:
    """Score one stage of a model, by its name, on held-out clips of the embedded corpus.

    Args:
        examples: clips for the sheet.

    Raises:
        ValueError: if the stage's tokenizers are not the folder's.
    """
    upscaler = model.upscaler
    (stage,) = upscaler.load([each for each in upscaler.stages if each.name == name])
    large = stage.model.config.clips.large
    corpus = Corpus(
        height=large.height, width=large.width, num_frames=large.num_frames, fps=large.fps,
        scenes=corpus_scenes(source), split="triples", seed=seed,
    )  # fmt: skip
    maker = PairMaker(stage.model.config.clips, upscaler.text_tokenizer)
    sums: dict[str, dict[str, float]] = {}
    sheets, own = [], []
    with progress(f"stage {name}", clips) as tell:
        for number in range(clips):
            clip, caption = corpus[number], corpus[number].caption
            rows = rows_of(stage, clip.frames, maker.text(caption), seed + number)
            for row, frames in rows.items():
                values = scores_of(clip.frames, frames, seam_places(stage))
                sums[row] = {key: sums.get(row, {}).get(key, 0.0) + value for key, value in values.items()}
            if len(sheets) < examples:
                shown = {key: rows[key] for key in (LOWER, PIXELS, MADE)} | {"true": clip.frames}
                sheets.append([(frames, f"{key}: {caption}") for key, frames in shown.items()])
            own.append(caption)
            tell(number + 1)
    means = {row: {key: value / clips for key, value in own.items()} for row, own in sums.items()}
    report = {"stage": name, "clips": clips, "rows": with_shares(means)}
    return StageScores(report | {"own_clips": _own_clips(model, stage, own, seed)}, sheets)


def rows_of(stage: Stage, true: Frames, text: Tensor | None, seed: int) -> dict[str, Tensor]:
    """The frames of every row of the table, by its name."""
    clips, device = stage.model.config.clips, stage.model.hidden_code.device
    size = (clips.large.height, clips.large.width)
    small = reduced(true, clips.large.height // clips.low.height)
    low = stage.low.encode(pixels_from_frames(small[None].to(device)))
    own = stage.large.encode(pixels_from_frames(true[None].to(device)))[0]
    condition = Condition.of(low, (text,) if clips.has_text else ())

    def made(shown: Condition, steps: int = max(STEPS)) -> Tensor:
        generators = [torch.Generator().manual_seed(seed)]
        codes = decode(stage.model, shown, DecodeSettings(steps=steps), generators)
        return frames_of(stage.large, codes[0])

    rows = {
        LOWER: resized(frames_of(stage.low, low[0]), *size),
        PIXELS: resized(small, *size),
        MADE: made(condition),
        "codes dropped": made(condition.showing(low=False, text=True)),
        UPPER: frames_of(stage.large, own),
    }
    if text is not None:
        rows["text dropped"] = made(condition.showing(low=True, text=False))
    return rows | {f"{MADE} in {steps} steps": made(condition, steps) for steps in STEPS[:-1]}


def scores_of(true: Frames, other: Frames, places: tuple[Sequence[int], Sequence[int]]) -> dict[str, float]:
    """psnr_db, ssim, sharpness (of the true clip's, 1 = as sharp) and seams (1 = none) of a clip."""
    quality = {name: float(values.mean()) for name, values in frame_quality(true, other).items()}
    ratios = [_border_change(each, places) for each in (other, true)]
    return quality | {"sharpness": sharpness(other) / sharpness(true), "seams": ratios[0] / ratios[1]}


def sharpness(frames: Frames) -> float:
    """The mean change from pixel to pixel where it is steepest, in bytes."""
    changes = frames.float().mean(-1).diff(dim=-1).abs().flatten()
    return max(float(changes.topk(max(int(len(changes) * _EDGES), 1)).values.mean()), 1e-6)


def seam_places(stage: Stage) -> tuple[list[int], list[int]]:
    """Rows and columns of pixels with which a window of codes begins."""
    config, stride = stage.model.config, stage.large.spatial_stride
    windows = [large for large, _ in config.layer_windows()]
    rows, columns = (
        {
            at * stride
            for each in windows
            for at in range(each.window[axis], each.grid[axis], each.window[axis])
        }
        for axis in (1, 2)
    )
    return sorted(rows), sorted(columns)


def _border_change(frames: Frames, places: tuple[Sequence[int], Sequence[int]]) -> float:
    """The change across the borders over the change between all neighbours."""
    found, usual = [], []
    for axis, borders in zip((1, 2), places, strict=True):
        changes = frames.float().diff(dim=axis).abs()
        usual.append(changes.mean())
        if borders:
            found.append(changes.index_select(axis, torch.tensor(borders) - 1).mean())
    mean = float(torch.stack(usual).mean())
    return float(torch.stack(found).mean()) / mean if found and mean else 1.0


def with_shares(means: dict[str, dict[str, float]]) -> dict[str, dict[str, float | None]]:
    """The table, with the share of the gap in PSNR that each row closes; None where there is no gap."""
    lower, upper = means[LOWER]["psnr_db"], means[UPPER]["psnr_db"]
    gap = upper - lower
    return {
        row: values | {"share": (values["psnr_db"] - lower) / gap if gap > 0 else None}
        for row, values in means.items()
    }


def _own_clips(model: VideoLM, stage: Stage, captions: Sequence[str], seed: int) -> dict[str, float] | None:
    """Share of the captions' words that are read in the model's own clips, as they are and enlarged; None if
    it makes no clips of this size from a text."""
    low, config = stage.model.config.clips.low, model.config
    own = (config.clips.height, config.clips.width) == (low.height, low.width)
    if not own or _PAINTED_BY not in config.tasks:
        return None
    fit, found = DescribedFit(), {"as they are": 0.0, "enlarged": 0.0}
    for number, caption in enumerate(captions):
        made = model.generate(_PAINTED_BY, text=caption, seed=seed + number)
        text = caption if stage.model.config.clips.has_text else None
        factor = stage.model.config.clips.large.height // low.height
        large = model.upscale(made.silent(), text=text, factor=factor, seed=seed + number)
        for name, clip in (("as they are", made), ("enlarged", large)):
            found[name] += fit(clip, caption) / len(captions)
    return found
