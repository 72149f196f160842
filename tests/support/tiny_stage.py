"""A stage of super-resolution with random weights: 9x64x64 of 9x32x32, by the tokenizer of the tiny model."""

from dataclasses import replace
from pathlib import Path

import torch

from videolm.data.codes.clip_format import ClipFormat
from videolm.super_resolution.stage_clips import PART, StageClips
from videolm.super_resolution.transformer import StageConfig, SuperResolution, SuperResolutionConfig
from videolm.tokenizers.video.protocol import VideoCodec


def tiny_stage(
    low: VideoCodec, large: VideoCodec, side: int = 32, text_tokenizer=None, num_frames: int = 9
) -> SuperResolution:
    """A stage that makes clips of twice `side`, with a text where a tokenizer of it is given."""
    formats = [
        ClipFormat(
            height=size, width=size, num_frames=num_frames, fps=8.0,
            grid=tokenizer.grid(num_frames, size, size), temporal_stride=tokenizer.temporal_stride,
            factors=tuple(tokenizer.factors), video_tokenizer=tokenizer.fingerprint,
        )
        for tokenizer, size in ((low, side), (large, 2 * side))
    ]  # fmt: skip
    clips = StageClips.of(*formats)
    if text_tokenizer is not None:
        text = {"text_tokenizer": text_tokenizer.fingerprint, "text_size": text_tokenizer.vocab_size}
        clips = replace(clips, **text, text_pieces=16)
    sizes = SuperResolutionConfig(
        dim=16, blocks=1, heads=2, hidden=16, rotary_dims=(2, 2, 4),
        vertical=(1, 8, 2), horizontal=(1, 2, 8), temporal=(3, 4, 4),
    )  # fmt: skip
    torch.manual_seed(side)
    stage = SuperResolution(StageConfig(sizes, clips)).eval()
    for weight in stage.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return stage


def add_stage(folder: Path, stage: SuperResolution, tokenizer: VideoCodec | None = None) -> Path:
    """Write a stage into a model folder, with a tokenizer of its own if it has one."""
    place = folder / PART / stage.config.clips.name
    stage.save_pretrained(place)
    if tokenizer is not None:
        tokenizer.save_pretrained(place / "video_tokenizer")
    return place
