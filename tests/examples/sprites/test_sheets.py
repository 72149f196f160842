"""A folder of layer sheets: its grid, and what is missing in one line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videolm.examples.sprites.sheets import ACTIONS, DIRECTIONS, LAYERS, read_sheets


def test_every_frame_of_an_action_is_one_cell_of_the_sheet(sheets, sheets_folder: Path):
    with Image.open(sheets_folder / "topwear" / "2.png") as image:
        for action, place in ACTIONS.items():
            for way, direction in enumerate(DIRECTIONS):
                cycle = sheets.cycle("top", action, direction)[2]
                assert len(cycle) == place.period
                row, column = (place.row + way) * 64, place.columns[-1] * 64
                cell = image.crop((column, row, column + 64, row + 64))
                assert np.array_equal(cycle[-1], np.asarray(cell))


def test_a_layer_that_an_action_does_not_show_is_known(sheets):
    worn = [(option, action) for option in range(3) for action in ACTIONS]
    assert [each for each in worn if not sheets.is_drawn("top", *each)] == [(1, "shoot")]


def test_a_folder_without_eyes_has_no_layer_of_eyes(sheets_folder: Path, tmp_path: Path):
    shutil.copytree(sheets_folder, tmp_path / "sheets")
    shutil.rmtree(tmp_path / "sheets" / "eyes")
    sheets = read_sheets(tmp_path / "sheets")
    assert sheets.options("eyes") == 0 and set(sheets.cells) == set(LAYERS) - {"eyes"}


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("", "there is no folder"),
        ("hair", "has no sheets in hair; expected 0.png"),
        ("hair/1.png", r"1\.png is not there; expected 0\.png to 2\.png without a gap"),
    ],
)
def test_what_is_missing_is_said_in_one_line(sheets_folder: Path, tmp_path: Path, missing: str, message: str):
    folder = tmp_path / "sheets"
    shutil.copytree(sheets_folder, folder)
    gone = folder / missing
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    with pytest.raises(FileNotFoundError, match=message) as error:
        read_sheets(folder)
    assert "\n" not in str(error.value)


def test_a_sheet_of_another_size_is_refused(sheets_folder: Path, tmp_path: Path):
    shutil.copytree(sheets_folder, tmp_path / "sheets")
    Image.new("RGBA", (832, 1280)).save(tmp_path / "sheets" / "body" / "0.png")
    with pytest.raises(ValueError, match=r"0\.png is 832x1280; expected 832x1344"):
        read_sheets(tmp_path / "sheets")
