"""Contact sheets: the frames of several clips as one picture."""

import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor

_LINE = 16  # pixels of a line of text
_LEAST_HEIGHT = 64  # smaller frames are shown larger
_LETTER = 7  # pixels of a letter


def sheet(rows: list[tuple[UInt8[Tensor, "_ height width 3"], str]]) -> Image.Image:
    """Clips below each other, their frames side by side, with a line of text under each."""
    strips = [(_strip(frames), text) for frames, text in rows]
    width = max(max(strip.width, _LETTER * len(text)) for strip, text in strips)
    height = sum(strip.height + _LINE for strip, _ in strips)
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    top = 0
    for strip, text in strips:
        picture.paste(strip, (0, top))
        draw.text((2, top + strip.height + 1), text, fill="black")
        top += strip.height + _LINE
    return picture


def _strip(frames: UInt8[Tensor, "frames height width 3"]) -> Image.Image:
    """The frames of a clip side by side, small ones enlarged."""
    image = Image.fromarray(torch.cat(list(frames), dim=1).numpy())
    scale = -(-_LEAST_HEIGHT // image.height)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
