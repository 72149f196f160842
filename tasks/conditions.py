"""Conditions of a task: altered frames of a clip, such as masked frames, or optical flow with depth.

The `conditions` of a task turn a clip into named variants. `videolm encode` codes these beside the clip, and
at generation they are made from the user's clip in the same way. As in COMMIT (Yu et al. 2023,
arXiv:2212.05199, section 3.2) pixels are altered before they are encoded. Cutting codes out of the whole
clip's codes would leak hidden pixels, since the receptive field of a tokenizer is larger than one code.
"""

from dataclasses import dataclass, fields, is_dataclass
from hashlib import sha256
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from ..data.analysis.geometry import Geometry, MotionScale
from ..data.media.clip import Clip
from .masks import Mask, draw_mask

PADS = {"black": 0, "grey": 128, "white": 255, "edge": None}


@dataclass(frozen=True, eq=False)
class Material:
    """What variants are made from.

    Args:
        clip: the clip itself.
        geometry: how flow and depth of the clip are known; only some conditions ask.
        mask: the known pixels, if the user chose them; None draws a mask.
    """

    clip: Clip
    geometry: Geometry | None = None
    mask: Mask | None = None


@dataclass(frozen=True, eq=False)
class Variant:
    """An altered clip.

    Args:
        frames: what is encoded.
        known: pixels that are the clip's own, and that may be put back into a result.
    """

    frames: UInt8[Tensor, "frames height width 3"]
    known: Mask | None = None


@runtime_checkable
class Conditions(Protocol):
    """Makes a task's variants; a frozen dataclass, whose fields are the settings stored with the codes.

    Args of the call:
        material: the clip and what is known of it.
        generator: for random choices, such as the place of a mask; None takes the default mask.

    Raises:
        ValueError: if the material lacks something or does not fit together.
    """

    takes: ClassVar[tuple[str, ...]]  # further inputs of a prompt, all optional: "mask"

    def __call__(self, material: Material, generator: torch.Generator | None) -> dict[str, Variant]: ...


@dataclass(frozen=True)
class Painting:
    """A clip of which only a part is known; the rest is padded.

    Args:
        name: of the variant.
        masks: kinds that are drawn (`masks.KINDS`); the first is the usual one.
        pad: "black", "grey" or "white", or "edge": the nearest known pixel of the rectangle around all
            known ones.
    """

    takes: ClassVar[tuple[str, ...]] = ("mask",)
    name: str
    masks: tuple[str, ...]
    pad: str = "black"

    def __post_init__(self) -> None:
        if self.pad not in PADS:
            raise ValueError(f"pad is {self.pad!r}; expected one of {', '.join(PADS)}")

    def __call__(self, material: Material, generator: torch.Generator | None) -> dict[str, Variant]:
        clip, known = material.clip, material.mask
        if known is None:
            kind = 0
            if generator is not None:
                kind = int(torch.randint(len(self.masks), (), generator=generator))
            size = (clip.num_frames, clip.height, clip.width)
            known = draw_mask(self.masks[kind], *size, generator)
        if known.shape != clip.frames.shape[:3]:
            raise ValueError(f"the mask is {tuple(known.shape)}; expected {tuple(clip.frames.shape[:3])}")
        return {self.name: Variant(padded(clip.frames, known, self.pad), known)}


@dataclass(frozen=True)
class Motion:
    """Optical flow and depth as the three channels of a video; the fields are those of `MotionScale`."""

    takes: ClassVar[tuple[str, ...]] = ()
    flow: float = 0.25
    near: float = 2.0
    far: float = 4.0

    def __call__(self, material: Material, generator: torch.Generator | None) -> dict[str, Variant]:
        clip, geometry = material.clip, material.geometry
        if geometry is None:
            raise ValueError(
                "nothing is known of the clip's flow and depth; say how they are found (--depth)"
            )
        scale = MotionScale(self.flow, self.near, self.far)
        return {"motion": Variant(scale.frames(geometry.flow(clip), geometry.depth(clip)))}


def padded(
    frames: UInt8[Tensor, "frames height width 3"], known: Mask, pad: str
) -> UInt8[Tensor, "frames height width 3"]:
    """The frames with all unknown pixels replaced by the pad."""
    level = PADS[pad]
    if level is None:
        filling = torch.stack([_edges(frame, mask) for frame, mask in zip(frames, known, strict=True)])
    else:
        filling = torch.full_like(frames, level)
    return torch.where(known[..., None], frames, filling)


def _edges(
    frame: UInt8[Tensor, "height width 3"], known: Bool[Tensor, "height width"]
) -> UInt8[Tensor, "height width 3"]:
    """Each pixel's nearest one in the rectangle around all known pixels; black where that is not known."""
    if not known.any():
        return torch.zeros_like(frame)
    masked = frame * known[..., None]
    rows, columns = (known.any(axis).nonzero().flatten() for axis in (1, 0))
    row = torch.arange(frame.shape[0]).clamp(int(rows[0]), int(rows[-1]))
    column = torch.arange(frame.shape[1]).clamp(int(columns[0]), int(columns[-1]))
    return masked[row][:, column]


def settings_of(conditions: Conditions) -> dict[str, Any]:
    """The fields of conditions as JSON has them, but for their name."""
    assert is_dataclass(conditions)
    values = {field.name: getattr(conditions, field.name) for field in fields(conditions)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name != "name"
    }


def seeded(*words: object) -> torch.Generator:
    """A generator of its own for every clip, whatever else is drawn."""
    digest = sha256(" ".join(map(str, words)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
