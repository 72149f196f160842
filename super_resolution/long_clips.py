"""Decoding codes of any length: windows in time, each given what the one before has made of it.

    layers of codes     0 1 2 3 4 5 6 7
    first window        m m m m m             m: made here
    second window             g g m m m       g: given, as the first window made them

A window that does not begin with the clip begins with a layer of several frames, where those of training
begin with one of a single frame; it is always given.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .batch import Condition
from .decoding import UNKNOWN, DecodeSettings, decode
from .transformer import SuperResolution


def decode_long(
    model: SuperResolution,
    low: Int[Tensor, "t low_h low_w"],
    text: Int[Tensor, " pieces"] | Float[Tensor, "pieces width"] | None,
    settings: DecodeSettings,
    generator: torch.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> Int[Tensor, "t h w"]:
    """Codes of a large clip from those of low resolution, of any number of layers in time.

    A clip shorter than a window stands still at its end while it is decoded, and is cut again.

    Args:
        low: on the model's device.
        generator: on the CPU; the next window goes on with it.
        progress: called with the number of windows done and of all.
    """
    length, count = model.config.clips.low.grid[0], len(low)
    _, height, width = model.config.clips.large.grid
    if count < length:
        low = torch.cat((low, low[-1:].expand(length - count, -1, -1)))
    codes = torch.full((len(low), height, width), UNKNOWN, device=low.device)
    starts = window_starts(len(low), length)
    for number, start in enumerate(starts, start=1):
        window = slice(start, start + length)
        condition = Condition.of(low[None, window], () if text is None else (text,))
        codes[window] = decode(model, condition, settings, [generator], codes[None, window])[0]
        if progress is not None:
            progress(number, len(starts))
    return codes[:count]


def window_starts(layers: int, length: int) -> list[int]:
    """The first layer of each window of `length` layers: half of it overlaps, of the last one maybe more."""
    return [*range(0, layers - length, length - length // 2), layers - length]


def window_borders(layers: int, length: int) -> list[int]:
    """The first layer that each window but the first makes."""
    return [start + length for start in window_starts(layers, length)[:-1]]
