"""A clip taken apart into tensors and plain values, and put together again: the same to the last bit.

    tensors, values = take_apart(clip)      # what safetensors or a pipe carries, and what JSON does
    clip = put_together(tensors, values)
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .clip import Clip


def take_apart(clip: Clip) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a clip, `frames` and, if it has sound, `waveform`; and its other fields."""
    tensors = {"frames": clip.frames.contiguous()}
    if clip.waveform is not None:
        tensors["waveform"] = clip.waveform.contiguous()
    return tensors, {"fps": clip.fps, "sample_rate": clip.sample_rate, "caption": clip.caption}


def put_together(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Clip:
    """The inverse of `take_apart`.

    Raises:
        KeyError: if the frames or their rate are missing.
        ValueError: if the values are not those of a clip.
    """
    return Clip(
        frames=tensors["frames"],
        fps=values["fps"],
        waveform=tensors.get("waveform"),
        sample_rate=values.get("sample_rate"),
        caption=values.get("caption"),
    )
