"""A tiny stage: 2x6x8 codes of 6 bits from 2x3x4, with a text of up to 5 pieces of 40."""

from dataclasses import replace
from typing import Any

import pytest
import torch

LARGE = {"height": 48, "width": 64, "num_frames": 5, "fps": 8.0, "grid": (2, 6, 8), "temporal_stride": 4}
LOW = LARGE | {"height": 24, "width": 32, "grid": (2, 3, 4)}


@pytest.fixture
def make_config():
    from videolm.data.codes.clip_format import ClipFormat
    from videolm.super_resolution.stage_clips import StageClips
    from videolm.super_resolution.transformer import StageConfig, SuperResolutionConfig

    def make(text: bool = True, **sizes: Any) -> StageConfig:
        formats = [ClipFormat(**size, factors=(8, 8), video_tokenizer="abc") for size in (LOW, LARGE)]
        clips = StageClips.of(*formats)
        if text:
            clips = replace(clips, text_tokenizer="words", text_size=40, text_pieces=5)
        given = {
            "dim": 32, "blocks": 1, "heads": 2, "hidden": 48, "rotary_dims": (4, 6, 6),
            "vertical": (1, 6, 2), "horizontal": (1, 2, 8), "temporal": (2, 4, 4),
        } | sizes  # fmt: skip
        return StageConfig(SuperResolutionConfig(**given), clips)

    return make


@pytest.fixture
def make_stage(make_config):
    """A stage whose heads and projections are not zero, as after some training."""
    from videolm.super_resolution.transformer import SuperResolution

    def make(seed: int = 0, **settings: Any) -> SuperResolution:
        torch.manual_seed(seed)
        stage = SuperResolution(make_config(**settings))
        for weight in stage.parameters():
            torch.nn.init.normal_(weight, std=0.2)
        return stage.eval()

    return make


@pytest.fixture
def make_pairs():
    from videolm.super_resolution.batch import Condition, PairBatch

    def make(batch: int = 2, seed: int = 0, text: bool = True) -> PairBatch:
        generator = torch.Generator().manual_seed(seed)
        codes = torch.randint(64, (batch, 2, 6, 8), generator=generator)
        low = torch.randint(64, (batch, 2, 3, 4), generator=generator)
        texts = [torch.randint(40, (1 + each % 5,), generator=generator) for each in range(batch)]
        masked = torch.rand(codes.shape, generator=generator) < 0.6
        return PairBatch(codes, masked, Condition.of(low, texts if text else ()))

    return make
