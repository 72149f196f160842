"""How good a video tokenizer is on clips that it was not trained on: a table, a JSON file and a curve.

    videolm tokenizer score SOURCE --model runs/mine/model --out runs/mine/scores

Scores are means over clips and frames. "First" is the first frame of each clip, which has codes of its own,
"later" all others, where broken causality shows first. Three baselines need no tokenizer. They copy frames of
the real clip and so have no score for its first frame; compare a tokenizer with them in the later ones:

    first frame repeated   perfect for a clip that stands still
    last frame repeated    frame 4j for the frames 4j + 1 to 4j + 4: the frame shown last before the codes of
                           these frames begin
    mean image             of the clip's own later frames: the still picture with the least squared error
"""

from collections.abc import Iterable
from math import log2, prod
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..data.codes.clip_format import ClipFormat
from ..data.media.pixels import frames_from_pixels, pixels_from_frames
from ..data.media.psnr import psnr
from ..data.runtime.files import replacing, write_json
from ..data.runtime.text_table import text_table
from ..data.sources.selection import ClipSelection
from ..tokenizers.video.lfq import code_statistics
from ..tokenizers.video.protocol import VideoCodec, load_video_tokenizer
from .held_out_clips import HeldOutClips
from .metrics.reconstruction import FrameDistance, frame_quality, lpips_distance, worst
from .metrics.reconstruction_distance import ReconstructionDistance
from .metrics.weights_folder import NO_WEIGHTS, WeightsFolder

TOKENIZER = "tokenizer"
_COLUMNS = (
    ("psnr_db", "all", "PSNR dB"), ("psnr_db", "first", "first"), ("psnr_db", "later", "later"),
    ("psnr_db", "worst", "worst"), ("ssim", "all", "SSIM"), ("ssim", "later", "later"),
    ("lpips", "all", "LPIPS"), ("lpips", "later", "later"),
)  # fmt: skip


def score_source(
    selection: ClipSelection,
    model: Path,
    out: Path,
    *,
    lpips: Path | None = None,
    weights: WeightsFolder = NO_WEIGHTS,
) -> list[Path]:
    """Score the video tokenizer of a model folder on held-out clips of a source; returns what was written.

    Args:
        lpips: file of weights as `read_lpips` takes it, for a column with this distance; the one among
            `weights` if not given.
        weights: of the networks of rFVD.

    Raises:
        FileNotFoundError, ValueError: if model, source or weights cannot be used, or none of the clips.
    """
    tokenizer = load_video_tokenizer(model / "video_tokenizer")
    distance = lpips_distance(lpips or weights.lpips)
    size = (selection.num_frames, selection.height, selection.width)
    clips = ClipFormat(
        height=selection.height,
        width=selection.width,
        num_frames=selection.num_frames,
        fps=selection.fps,
        grid=tokenizer.grid(*size),
        temporal_stride=tokenizer.temporal_stride,
        factors=tokenizer.factors,
        video_tokenizer=tokenizer.fingerprint,
    )
    held_out = HeldOutClips(selection, clips, "score")
    frames = (clip.frames for clip in held_out)
    scores = score_tokenizer(tokenizer, frames, lpips=distance, weights=weights)
    scores |= {"model": str(model), "fps": selection.fps, "skipped": held_out.skipped} | held_out.description
    print(table(scores))
    if held_out.note:
        print(held_out.note)
    return write_scores(out, scores)


@torch.no_grad()
def score_tokenizer(
    tokenizer: VideoCodec,
    clips: Iterable[UInt8[Tensor, "frames height width 3"]],
    *,
    lpips: FrameDistance | None = None,
    weights: WeightsFolder = NO_WEIGHTS,
) -> dict[str, Any]:
    """Scores of a tokenizer and of predictions without one, on clips of one length and size.

    The clips are gone through once, one at a time.

    Args:
        lpips: a distance of frames to report beside PSNR and SSIM.
        weights: of the networks of rFVD.

    Returns:
        clips, num_frames, height, width, codebook_size, codes (how many were counted), bits_per_pixel
        (log2(codebook_size) bits a code), code_use and perplexity as `code_statistics`,
        distances: rfvd and rfvd_random (of images rfid and rfid_random), each with its constants, and
        methods: by name, for each of psnr_db, ssim and lpips the means over all, first and later frames,
        the worst frame of all clips, and the mean by_frame; what a method has no score for is None.

    Raises:
        ValueError: if there are no clips, or they differ in length or size, or the tokenizer does not take
            them.
    """
    device = next(tokenizer.parameters()).device
    counts = torch.zeros(tokenizer.codebook_size, dtype=torch.long)
    qualities: dict[str, list[dict[str, Tensor]]] = {}
    shape, grid = torch.Size(), torch.Size()
    distance: ReconstructionDistance | None = None
    for frames in clips:
        if shape and frames.shape != shape:
            shapes = f"{tuple(shape)} and {tuple(frames.shape)}"
            raise ValueError(f"clips have the shapes {shapes}; expected one for all")
        shape = frames.shape
        codes = tokenizer.encode(pixels_from_frames(frames[None].to(device)))
        grid = codes.shape[1:]
        counts += codes.flatten().cpu().bincount(minlength=tokenizer.codebook_size)
        decoded = frames_from_pixels(tokenizer.decode(codes))[0].cpu()
        distance = distance or ReconstructionDistance(weights, len(frames))
        distance.add(frames, decoded)
        qualities.setdefault(TOKENIZER, []).append(frame_quality(frames, decoded, lpips))
        for name, predicted in baselines(frames, tokenizer.temporal_stride).items():
            qualities.setdefault(name, []).append(frame_quality(frames[1:], predicted, lpips))
    if distance is None:
        raise ValueError("there are no clips to score the tokenizer on; expected at least one")
    num_frames, height, width, _ = shape
    statistics = code_statistics(counts)
    return {
        "clips": len(qualities[TOKENIZER]),
        "num_frames": num_frames,
        "height": height,
        "width": width,
        "codebook_size": tokenizer.codebook_size,
        "codes": int(counts.sum()),
        "bits_per_pixel": prod(grid) * log2(tokenizer.codebook_size) / (num_frames * height * width),
        "code_use": statistics["code_use"],
        "perplexity": statistics["perplexity"],
        "distances": {score.name: score.to_json() for score in distance.scores()},
        "methods": {name: _summary(each, num_frames) for name, each in qualities.items()},
    }


def baselines(
    frames: UInt8[Tensor, "frames height width 3"], temporal_stride: int
) -> dict[str, UInt8[Tensor, "later height width 3"]]:
    """All frames after the first as predicted without a tokenizer, by name; none of a single image."""
    if len(frames) < 2:
        return {}
    later = range(1, len(frames))
    mean = frames[1:].double().mean(0).round().to(torch.uint8)
    return {
        "first frame repeated": frames[[0 for _ in later]],
        "last frame repeated": frames[[(frame - 1) // temporal_stride * temporal_stride for frame in later]],
        "mean image": mean.expand(len(later), -1, -1, -1),
    }


def still_psnr(
    clips: Iterable[UInt8[Tensor, "frames height width 3"]], temporal_stride: int
) -> dict[str, float]:
    """Mean PSNR in dB of each of the `baselines`; none of single images."""
    found: dict[str, list[Tensor]] = {}
    for frames in clips:
        for name, predicted in baselines(frames, temporal_stride).items():
            found.setdefault(name, []).append(psnr(frames[1:], predicted))
    return {name: float(torch.cat(each).mean()) for name, each in found.items()}


def table(scores: dict[str, Any]) -> str:
    """The scores as lines of text: a row for each method, then the codes and PSNR by frame."""
    methods = scores["methods"]
    columns = [column for column in _COLUMNS if column[0] in methods[TOKENIZER]]
    lines = [
        f"{scores['clips']} clips of {scores['num_frames']} frames of {scores['height']}x{scores['width']}, "
        f"{scores['bits_per_pixel']:.4f} bits per pixel",
    ]
    rows = [
        (name, *(_cell(metric, measured[metric][part]) for metric, part, _ in columns))
        for name, measured in methods.items()
    ]
    lines += text_table(rows, ("", *(title for _, _, title in columns)))
    used = round(scores["code_use"] * scores["codebook_size"])
    lines.append(
        f"{used:,} of {scores['codebook_size']:,} codes in use ({scores['code_use']:.1%}) among the "
        f"{scores['codes']:,} of these clips, perplexity {scores['perplexity']:,.1f}"
    )
    by_frame = methods[TOKENIZER]["psnr_db"]["by_frame"]
    lines.append("PSNR by frame: " + " ".join(f"{value:.1f}" for value in by_frame))
    for name, distance in scores["distances"].items():
        value = distance["value"]
        shown = f"{value:.4f}" if value is not None else f"not computed: {distance['not_computed']}"
        lines.append(f"{name} {shown}")
    if scores.get("skipped"):
        lines.append(f"left out {len(scores['skipped'])}, such as {scores['skipped'][0]}")
    return "\n".join(lines)


def write_scores(folder: Path, scores: dict[str, Any]) -> list[Path]:
    """Write scores.json and psnr_by_frame.png; returns their paths."""
    write_json(folder / "scores.json", scores)
    picture = folder / "psnr_by_frame.png"
    with replacing(picture) as temporary:
        _draw_psnr(scores, temporary)
    return [folder / "scores.json", picture]


def _summary(qualities: list[dict[str, Tensor]], num_frames: int) -> dict[str, dict[str, Any]]:
    """Means over clips and frames for each metric; frames without a score are the first ones."""
    summary = {}
    for name in qualities[0]:
        values = torch.stack([quality[name] for quality in qualities]).double()
        has_first = values.shape[1] == num_frames
        later = values[:, 1:] if has_first else values
        summary[name] = {
            "all": float(values.mean()) if has_first else None,
            "first": float(values[:, 0].mean()) if has_first else None,
            "later": float(later.mean()) if later.numel() else None,
            "worst": worst(name, values),
            "by_frame": [None] * (num_frames - values.shape[1]) + values.mean(0).tolist(),
        }
    return summary


def _cell(metric: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if metric == "psnr_db" else f"{value:.4f}"


def _draw_psnr(scores: dict[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, measured in scores["methods"].items():
        curve = [(frame, y) for frame, y in enumerate(measured["psnr_db"]["by_frame"]) if y is not None]
        weight = 2.0 if name == TOKENIZER else 1.0
        axes.plot(*zip(*curve, strict=True), label=name, linewidth=weight, marker=".")
    axes.set(xlabel="frame", ylabel="PSNR (dB)")
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, format="png", dpi=120)
