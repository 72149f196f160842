"""A sheet has every cell in its place, animations repeat at the right speed, both with transparent ground."""

import numpy as np
from PIL import Image

from videolm.examples.sprites.sheet_files import on_checkerboard, sheet_picture, write_animation
from videolm.examples.sprites.sheets import ACTIONS, CELL, DIRECTIONS


def cells_of(period: int, seed: int = 0) -> np.ndarray:
    """A disc of few colours that moves, with transparent ground."""
    rng = np.random.default_rng(seed)
    cells = np.zeros((period, CELL, CELL, 4), np.uint8)
    for index in range(period):
        cells[index, 10 + index : 50 + index, 20:40, :3] = rng.integers(0, 256, 3, np.uint8)
        cells[index, 10 + index : 50 + index, 20:40, 3] = 255
    return cells


def test_cells_are_where_a_reader_of_sheets_looks_for_them():
    cycles = {
        (action, way): cells_of(place.period, number)
        for number, (action, place) in enumerate(ACTIONS.items())
        for way in DIRECTIONS
    }
    standing = {way: cells_of(1, 9 + number)[0] for number, way in enumerate(DIRECTIONS)}
    picture = sheet_picture(cycles, standing)
    assert (picture.mode, picture.size) == ("RGBA", (832, 1344))
    pixels = np.asarray(picture)
    for (action, way), cells in cycles.items():
        place = ACTIONS[action]
        top = (place.row + DIRECTIONS.index(way)) * CELL
        for column, cell in zip(place.columns, cells, strict=True):
            assert np.array_equal(pixels[top : top + CELL, column * CELL : (column + 1) * CELL], cell)
    left = (ACTIONS["walk"].row + DIRECTIONS.index("left")) * CELL
    assert np.array_equal(pixels[left : left + CELL, :CELL], standing["left"])
    shown = sum(int((cells[..., 3] > 0).sum()) for cells in [*cycles.values(), *standing.values()])
    assert int((pixels[..., 3] > 0).sum()) == shown  # nothing else, the row of hurt among it


def test_an_animation_shows_the_cells_for_ever(tmp_path):
    cells = cells_of(13)
    write_animation(tmp_path / "a.gif", cells, 8)
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.n_frames, image.info["loop"]) == (13, 0)
        times = []
        for index, cell in enumerate(cells):
            image.seek(index)
            times.append(image.info["duration"])
            shown = np.asarray(image.convert("RGBA"))
            assert np.array_equal(shown[..., 3], cell[..., 3])
            assert np.array_equal(shown[cell[..., 3] > 0], cell[cell[..., 3] > 0])
    assert set(times) == {120, 130} and abs(sum(times) - 13_000 / 8) < 10


def test_many_colours_are_brought_to_one_palette(tmp_path):
    cells = cells_of(6)
    rng = np.random.default_rng(0)
    solid = cells[..., 3] > 0
    cells[solid, :3] = rng.integers(0, 256, (solid.sum(), 3), np.uint8)
    write_animation(tmp_path / "a.gif", cells, 8)
    with Image.open(tmp_path / "a.gif") as image:
        image.seek(3)
        shown = np.asarray(image.convert("RGBA"))
    assert np.array_equal(shown[..., 3], cells[3, ..., 3])
    assert np.abs(shown[solid[3]].astype(int) - cells[3][solid[3]]).mean() < 20


def test_what_is_transparent_shows_a_checkerboard():
    cells = cells_of(1)
    shown = np.asarray(on_checkerboard(Image.fromarray(cells[0])))
    solid = cells[0, ..., 3] > 0
    assert np.array_equal(shown[solid], cells[0][solid][:, :3])
    assert shown[0, 0].tolist() == [160] * 3 and shown[0, 8].tolist() == [205] * 3 == shown[8, 0].tolist()
