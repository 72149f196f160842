"""Layer sheets of Liberated Pixel Cup characters: their folder, their grid, and which layer lies over which.

A folder has one folder of sheets for each layer (0.png, 1.png, …). Each sheet is 832 x 1344 pixels with
alpha: 13 columns x 21 rows of cells of 64 x 64. An action has four rows, one for each direction, and its
frames stand side by side. The last row (hurt, seen from the front only) is not used.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from einops import reduce
from jaxtyping import Bool, UInt8
from PIL import Image

CELL = 64  # pixels, width and height
RATE = 8  # frames per second: one cell each
SHEET_COLUMNS, SHEET_ROWS = 13, 21
_SHEET = (SHEET_COLUMNS * CELL, SHEET_ROWS * CELL)  # width, height

DIRECTIONS = ("back", "left", "front", "right")  # the rows of an action
# As they are laid over one another, and the folder of each. Shoes come last: boots reach over trousers.
FOLDERS = {
    "body": "body",
    "eyes": "eyes",
    "bottom": "bottomwear",
    "top": "topwear",
    "hair": "hair",
    "shoes": "shoes",
}
LAYERS = tuple(FOLDERS)
OPTIONAL = "eyes"  # a body has eyes of its own
OPAQUE = 128  # from this alpha on a pixel is seen as the layer's
# The orc's face is higher than the others': the eyes' layers would lie on its tusks.
BODIES_WITHOUT_EYE_LAYERS = (6,)


@dataclass(frozen=True)
class Action:
    """First row of an action, and the columns of one cycle of it."""

    row: int
    columns: range

    @property
    def period(self) -> int:
        return len(self.columns)


ACTIONS = {
    "cast": Action(0, range(7)),
    "thrust": Action(4, range(8)),
    "walk": Action(8, range(1, 9)),  # column 0 is standing
    "slash": Action(12, range(6)),
    "shoot": Action(16, range(13)),
}


@dataclass(frozen=True)
class Sheets:
    """The cells of all sheets.

    Args:
        cells: of each layer, red, green, blue and alpha of every option (the number of its file).
    """

    cells: dict[str, UInt8[np.ndarray, "options rows columns height width 4"]]

    def options(self, layer: str) -> int:
        return len(self.cells[layer]) if layer in self.cells else 0

    def cycle(
        self, layer: str, action: str, direction: str
    ) -> UInt8[np.ndarray, "options period height width 4"]:
        """One cycle of an action, drawn with every option of a layer."""
        place = ACTIONS[action]
        row = place.row + DIRECTIONS.index(direction)
        return self.cells[layer][:, row, place.columns.start : place.columns.stop]

    def is_drawn(self, layer: str, option: int, action: str) -> bool:
        """Whether the sheet shows something in every cell of an action.

        Of the public sheets the shirt with a tie and the dark green trousers are empty in thrust and shoot.
        """
        return bool(self._drawn[layer, action][option])

    @cached_property
    def _drawn(self) -> dict[tuple[str, str], Bool[np.ndarray, " options"]]:
        drawn = {}
        for layer in self.cells:
            for action in ACTIONS:
                cells = np.stack([self.cycle(layer, action, each) for each in DIRECTIONS])
                shown = reduce(cells[..., 3] >= OPAQUE, "way option column h w -> way option column", "any")
                drawn[layer, action] = reduce(shown, "way option column -> option", "all")
        return drawn


def read_sheets(folder: Path) -> Sheets:
    """Read a folder of sheets, such as a clone of YingzhenLi/Sprites.

    Raises:
        FileNotFoundError: if the folder, the folder of a layer or a number in between is not there.
        ValueError: if a sheet has another size.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; expected a clone of the sheets, see README.md")
    needed = [name for layer, name in FOLDERS.items() if layer != OPTIONAL]
    missing = [name for name in needed if not (folder / name / "0.png").is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} has no sheets in {', '.join(missing)}; expected 0.png, 1.png, … in {', '.join(needed)}"
        )
    present = {layer: name for layer, name in FOLDERS.items() if (folder / name / "0.png").is_file()}
    return Sheets({layer: _read_layer(folder / name) for layer, name in present.items()})


def _read_layer(folder: Path) -> UInt8[np.ndarray, "options rows columns 64 64 4"]:
    paths = sorted(folder.glob("[0-9]*.png"), key=lambda path: (len(path.name), path.name))
    expected = [folder / f"{number}.png" for number in range(len(paths))]
    absent = [path for path in expected if path not in paths]
    if absent:
        raise FileNotFoundError(f"{absent[0]} is not there; expected 0.png to {paths[-1].name} without a gap")
    return np.stack([_read_sheet(path) for path in paths])


def _read_sheet(path: Path) -> UInt8[np.ndarray, "rows columns 64 64 4"]:
    with Image.open(path) as image:
        if image.size != _SHEET:
            raise ValueError(f"{path} is {image.width}x{image.height}; expected {_SHEET[0]}x{_SHEET[1]}")
        pixels = np.asarray(image.convert("RGBA"))
    grid = pixels.reshape(SHEET_ROWS, CELL, SHEET_COLUMNS, CELL, 4)
    return np.ascontiguousarray(grid.transpose(0, 2, 1, 3, 4))
