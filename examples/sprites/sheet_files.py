"""The files of a character: a sheet in the order of the Liberated Pixel Cup, and animations."""

from math import floor
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from .sheets import ACTIONS, CELL, DIRECTIONS, SHEET_COLUMNS, SHEET_ROWS

Cells = UInt8[np.ndarray, "period 64 64 4"]

_STANDING = (ACTIONS["walk"].row, 0)  # the cell of a row of walking that its cycle leaves out
_COLOURS = 255  # of a GIF, beside the transparent one
_SQUARE = 8  # pixels of the checkerboard
_LIGHT, _DARK = 205, 160


def sheet_picture(
    cycles: dict[tuple[str, str], Cells], standing: dict[str, UInt8[np.ndarray, "64 64 4"]]
) -> Image.Image:
    """All cells in their places, the rest transparent: 832 x 1344 pixels.

    Args:
        cycles: cells by action and direction, each beginning with the first column of the cycle.
        standing: of each direction, the cell before those of walking.
    """
    cells = np.zeros((SHEET_ROWS, SHEET_COLUMNS, CELL, CELL, 4), np.uint8)
    for (action, direction), own in cycles.items():
        place = ACTIONS[action]
        row = place.row + DIRECTIONS.index(direction)
        cells[row, place.columns.start : place.columns.stop] = own
    for direction, cell in standing.items():
        cells[_STANDING[0] + DIRECTIONS.index(direction), _STANDING[1]] = cell
    pixels = cells.transpose(0, 2, 1, 3, 4).reshape(SHEET_ROWS * CELL, SHEET_COLUMNS * CELL, 4)
    return Image.fromarray(pixels)


def on_checkerboard(picture: Image.Image) -> Image.Image:
    """As picture editors show what is transparent."""
    rows, columns = np.indices((picture.height, picture.width)) // _SQUARE
    board = np.where((rows + columns) % 2, _LIGHT, _DARK).astype(np.uint8)
    ground = Image.fromarray(board).convert("RGBA")
    return Image.alpha_composite(ground, picture).convert("RGB")


def write_animation(path: Path, cells: Cells, fps: float) -> None:
    """A GIF that repeats for ever, with transparent ground and one palette of at most 255 colours.

    A GIF counts time in hundredths of a second: at 8 frames a second they are shown for 12 and 13 of them.
    """
    shown = cells[..., 3] > 0
    strip = Image.fromarray(np.concatenate(list(cells[..., :3])))
    drawn = strip.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    indices = np.asarray(drawn).reshape(shown.shape).copy()
    indices[~shown] = _COLOURS
    palette = (drawn.getpalette() or [])[: 3 * _COLOURS]
    times = [floor(index * 100 / fps) * 10 for index in range(len(cells) + 1)]
    frames = []
    for own in indices:
        frame = Image.fromarray(own, mode="P")
        frame.putpalette(palette + [0] * (768 - len(palette)))
        frames.append(frame)
    frames[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=np.diff(times).tolist(),
        loop=0,
        transparency=_COLOURS,
        disposal=2,  # each frame takes the place of the one before, where it is transparent as well
        optimize=False,
    )
