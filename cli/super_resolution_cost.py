"""The cost of training a stage of super-resolution, from its config alone: what `videolm info
super-resolution/CONFIG` prints.

Nothing is trained or loaded. Without shards, clips are of the config's size and coded as VideoPoet's
tokenizers do, with a text of 64 pieces.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..data.codes.bucketed_shards import holds_shards, read_shards
from ..lm.training.memory import Plan
from ..super_resolution.stage_clips import StageClips
from ..super_resolution.training.costs import StageParameters, full_pairs, pass_flops, window_pairs
from ..super_resolution.training.lightning_module import SuperResolutionTraining
from ..super_resolution.training.memory import stage_memory
from ..super_resolution.transformer import SuperResolution, SuperResolutionConfig
from ..tasks.text_budget import LEAST_PIECES, LEAST_VOCABULARY
from ..tasks.training_data.low_codes import stage_clips
from ..tasks.training_data.super_resolution_datamodule import SuperResolutionDataModule
from .training_cost import Wanted, memory_lines, setting_of, settings_of, table_lines, videopoet_format

_LARGEST = (17, 448, 256)


def describe_stage(path: Path, wanted: Wanted) -> str:
    """Parameters, operations of a pass, and the memory of each device.

    Raises:
        ValueError: if it is not a config of `videolm super-resolution fit`, or nothing can be trained as is
        wanted.
    """
    if wanted.batch_size == "auto":
        raise ValueError("batch_size auto is for configs of the language model; give a number of clips")
    model, data, trainer = _read(path)
    stage, origin = _stage(data, wanted.size)
    with torch.device("meta"):
        training = SuperResolutionTraining(stage=stage, **model)
    rows = wanted.batch_size or data["batch_size"]
    plan = Plan(rows, 0, {}, **setting_of(model, trainer, wanted))
    parts = (
        _parameters(training.model),
        _sizes(stage, origin),
        _operations(training.model),
        memory_lines(
            stage_memory(training, plan), plan, training.optimizer, f"{rows} clips of {stage.large.name}"
        ),
    )
    return "\n\n".join("\n".join(lines) for lines in parts)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Settings of model, data and trainer."""
    stage = SuperResolutionTraining, SuperResolutionDataModule
    return settings_of(path, "super-resolution", *stage, sizes=SuperResolutionConfig, from_data="stage")


def _stage(data: dict[str, Any], size: str | None) -> tuple[StageClips, str]:
    """What the stage turns into what, and where that is known from."""
    shards = data["shards"]
    if size is None and shards is not None and holds_shards(Path(shards)):
        return _with_text(stage_clips(read_shards(shards)[0].clips)), f"of {shards}"
    given = (data["num_frames"], data["height"], data["width"])
    wanted = tuple(own or usual for own, usual in zip(given, _LARGEST, strict=True))
    if size is not None:
        from ..tasks.training_data.encode_shards import sizes_of

        (wanted,) = sizes_of(size)
    frames, height, width = wanted
    scale = data["scale"]
    if height % scale or width % scale:
        raise ValueError(f"clips are {height}x{width}; expected multiples of {scale}")
    low = videopoet_format(frames, height // scale, width // scale, data["fps"] or 8.0)
    large = videopoet_format(frames, height, width, data["fps"] or 8.0)
    return _with_text(StageClips.of(low, large)), "VideoPoet's tokenizers"


def _with_text(stage: StageClips) -> StageClips:
    return replace(stage, text_tokenizer="any", text_size=LEAST_VOCABULARY, text_pieces=LEAST_PIECES)


def _parameters(model: SuperResolution) -> list[str]:
    parts = StageParameters.of(model)
    lines = [f"{parts.total:,} parameters"]
    return lines + table_lines(
        [(name, f"{getattr(parts, name):,}") for name in ("body", "embeddings", "head")]
    )


def _sizes(stage: StageClips, origin: str) -> list[str]:
    rows = [
        (clips.name, "x".join(map(str, clips.grid)), f"{clips.grid[0] * clips.grid[1] * clips.grid[2]:,}")
        for clips in (stage.low, stage.large)
    ]
    lines = [f"clips of {stage.large.name} from {stage.low.name} ({origin})"]
    return lines + table_lines(rows, ("", "grid", "codes"))


def _operations(model: SuperResolution) -> list[str]:
    """Of a pass over one clip; training takes three times as many, decoding one pass a step and guidance."""
    flops, config = pass_flops(model), model.config
    less = 3 * full_pairs(config) / sum(window_pairs(config))
    rows = [
        ("scores and values", f"{flops.pairs / 1e9:,.1f}"),
        ("matrices", f"{flops.matrices / 1e9:,.1f}"),
        ("heads", f"{flops.heads / 1e9:,.1f}"),
        ("a pass", f"{flops.total / 1e9:,.1f}"),
        ("training on a clip", f"{3 * flops.total / 1e9:,.1f}"),
    ]
    lines = [f"GFLOPs of a clip; windows have {less:.1f} times fewer pairs of attention than the whole clip"]
    return lines + table_lines(rows)
