"""Tiny layer sheets in the layout of the public ones: coloured rectangles that move with the action."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videolm.examples.sprites.sheets import ACTIONS, CELL, DIRECTIONS, FOLDERS, Sheets, read_sheets

COLOURS = {
    "body": [(240, 200, 170), (120, 80, 50), (60, 160, 80)],
    "eyes": [(60, 220, 240), (250, 60, 90)],
    "bottom": [(230, 230, 230), (160, 40, 40), (40, 120, 130)],
    "top": [(110, 20, 30), (90, 180, 230), (250, 240, 200)],
    "hair": [(40, 200, 40), (40, 40, 200), (250, 150, 30)],
    "shoes": [(110, 70, 30), (240, 200, 60)],
}
# Top, bottom, left and right edge within a cell. Shoes cover a part of the trousers, hair a part of the body.
BOXES = {
    "body": (16, 60, 24, 40),
    "eyes": (26, 28, 28, 36),
    "bottom": (44, 58, 24, 40),
    "top": (32, 46, 22, 42),
    "hair": (12, 24, 22, 42),
    "shoes": (54, 62, 22, 42),
}


def write_sheets(folder: Path, left_out: tuple[tuple[str, int, str], ...] = ()) -> Path:
    """Sheets of all layers, without (layer, option, action) of `left_out`."""
    for layer, name in FOLDERS.items():
        (folder / name).mkdir(parents=True)
        for option, colour in enumerate(COLOURS[layer]):
            sheet = np.zeros((21, 13, CELL, CELL, 4), np.uint8)
            for action in ACTIONS:
                if (layer, option, action) not in left_out:
                    _draw(sheet, layer, colour, action)
            pixels = sheet.transpose(0, 2, 1, 3, 4).reshape(21 * CELL, 13 * CELL, 4)
            Image.fromarray(pixels).save(folder / name / f"{option}.png")
    return folder


def _draw(sheet: np.ndarray, layer: str, colour: tuple[int, int, int], action: str) -> None:
    """Every action moves in its own way, every direction stands elsewhere; nobody has eyes at the back."""
    number, place = list(ACTIONS).index(action), ACTIONS[action]
    top, bottom, left, right = BOXES[layer]
    for way, direction in enumerate(DIRECTIONS):
        if layer == "eyes" and direction == "back":
            continue
        for column in place.columns:
            angle = 2 * np.pi * (column - place.columns.start) / place.period
            down = round((number - 2) * np.sin(angle))
            across = 4 * way - 6 + round((3 - number) * np.cos(angle))
            sheet[place.row + way, column, top + down : bottom + down, left + across : right + across] = (
                *colour,
                255,
            )


@pytest.fixture(scope="session")
def sheets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sheets(tmp_path_factory.mktemp("sheets") / "sheets", (("top", 1, "shoot"),))


@pytest.fixture(scope="session")
def sheets(sheets_folder: Path) -> Sheets:
    return read_sheets(sheets_folder)
