"""Codes of the smaller clip beside those of the clip itself: what super-resolution is trained on.

    videolm encode SOURCE --model MODEL --out SHARDS --super-resolution 2

They stand in the shards as the variant "low" of each clip, with a grid and a tokenizer of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from ...data.codes.clip_format import ClipFormat
from ...data.media.clip import Clip
from ...data.media.pixels import pixels_from_frames
from ...data.runtime.typed_fields import check_least, from_fields
from ...super_resolution.low_resolution import reduced
from ...super_resolution.stage_clips import StageClips
from ...tokenizers.video.protocol import VideoCodec

LOW = "low"


@dataclass(frozen=True)
class LowFormat:
    """What is stored of the low-resolution codes beside the format of the clips.

    Args:
        height, width: of the reduced frames.
        grid: of their codes.
        factors: digits of a code, the lowest first.
        video_tokenizer: fingerprint of theirs.
    """

    height: int
    width: int
    grid: tuple[int, int, int]
    factors: tuple[int, ...]
    video_tokenizer: str

    def __post_init__(self) -> None:
        check_least(self, height=1, width=1, grid=1, factors=2)

    def to_json(self) -> dict[str, Any]:
        return {
            "height": self.height,
            "width": self.width,
            "grid": list(self.grid),
            "factors": list(self.factors),
            "video_tokenizer": self.video_tokenizer,
        }


class LowEncoder:
    """Codes clips at a part of their height and width.

    Args:
        video: the tokenizer of the smaller clips; it may be that of the large ones.
        scale: by which height and width are divided.

    Raises:
        ValueError: if the scale is below 2.
    """

    def __init__(self, video: VideoCodec, scale: int):
        if scale < 2:
            raise ValueError(f"super_resolution is {scale}; expected 2 or more, such as 2 for twice the size")
        self.video = video.eval().requires_grad_(False)
        self.scale = scale

    def format(self, num_frames: int, height: int, width: int) -> LowFormat:
        """Of the codes of clips of this size.

        Raises:
            ValueError: if the size is no multiple of the scale, or the tokenizer does not take its part.
        """
        if height % self.scale or width % self.scale:
            raise ValueError(f"clips are {height}x{width}; expected multiples of {self.scale}")
        low = (height // self.scale, width // self.scale)
        grid = self.video.grid(num_frames, *low)
        return LowFormat(*low, grid, tuple(self.video.factors), self.video.fingerprint)

    def to(self, device: torch.device | str) -> "LowEncoder":
        self.video.to(device)
        return self

    @torch.no_grad()
    def encode(self, clips: Sequence[Clip]) -> list[Int[Tensor, "t h w"]]:
        """Codes of the reduced clips."""
        device = next(self.video.parameters()).device
        frames = torch.stack([reduced(clip.frames.to(device), self.scale) for clip in clips])
        return [each.clone() for each in self.video.encode(pixels_from_frames(frames)).cpu()]


def stage_clips(clips: ClipFormat) -> StageClips:
    """What a stage that is trained on codes of this format turns into what.

    Raises:
        ValueError: if there are no low-resolution codes beside them, or these do not fit.
    """
    stored = clips.variants.get(LOW)
    if stored is None:
        raise ValueError("there are no low-resolution codes; encode the clips with --super-resolution 2")
    low = from_fields(LowFormat, stored, "the format of the low-resolution codes")
    plain = replace(
        clips,
        height=low.height, width=low.width, grid=low.grid, factors=low.factors,
        video_tokenizer=low.video_tokenizer, variants={},
    )  # fmt: skip
    return StageClips.of(plain, clips)
