"""A figure is cut out of its plain ground: sharp, soft, noisy, with a hole, and of whatever colour."""

import numpy as np
import pytest

from videolm.examples.sprites.ground import cut_out, figure_of, ground_colour, native_frames
from videolm.examples.sprites.render import enlarged
from videolm.examples.sprites.scenes import BACKGROUNDS
from videolm.examples.sprites.soft_fit import blurred

FRAMES = 4
OUTLINE = (44, 24, 30)
# Top, bottom, left and right edge of hair, body, arms, and a leg. An arm on the hip encloses a hole.
BOXES = (
    (12, 28, 22, 42), (26, 48, 26, 38), (32, 35, 18, 46), (35, 46, 18, 21), (46, 49, 18, 27),
    (48, 61, 26, 31),
)  # fmt: skip
COLOURS = ((150, 40, 170), (90, 180, 230), (60, 160, 80), (60, 160, 80), (60, 160, 80), (200, 190, 160))


def shown(
    background: tuple[int, int, int], outline: tuple[int, int, int] = OUTLINE
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a figure that moves to the right, and where it is."""
    frames, masks = np.empty((FRAMES, 64, 64, 3), np.uint8), np.zeros((FRAMES, 64, 64), bool)
    frames[:] = background
    for index in range(FRAMES):
        for top, bottom, left, right in BOXES:
            masks[index, top:bottom, left + index : right + index] = True
        frames[index][masks[index]] = outline
        for (top, bottom, left, right), colour in zip(BOXES, COLOURS, strict=True):
            frames[index, top + 1 : bottom - 1, left + index + 1 : right + index - 1] = colour
    return frames, masks


def damaged(frames: np.ndarray, blur: float, noise: float) -> np.ndarray:
    soft = blurred(frames.astype(np.float32), blur)
    return (soft + np.random.default_rng(0).normal(0, noise, soft.shape)).clip(0, 255).astype(np.float32)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize(
    ("blur", "noise", "least"), [(0, 0, 1), (0.6, 0, 0.95), (0, 6, 0.95), (0.6, 2, 0.93)]
)
def test_the_figure_is_found(background: str, blur: float, noise: float, least: float):
    frames, masks = shown(BACKGROUNDS[background])
    found = figure_of(damaged(frames, blur, noise))
    assert overlap(found, masks) >= least


def test_ground_that_the_figure_encloses_is_cut_out():
    frames, masks = shown(BACKGROUNDS["charcoal"])
    assert not masks[0, 40, 23] and masks[0, 47, 23] and masks[0, 33, 23]
    assert not figure_of(frames.astype(np.float32))[0, 36:46, 21:26].any()


def test_outlines_nearly_as_dark_as_the_ground_belong_to_a_sharp_figure():
    frames, masks = shown(BACKGROUNDS["charcoal"], outline=(22, 23, 27))
    assert np.array_equal(figure_of(frames.astype(np.float32)), masks)


@pytest.mark.parametrize("blur", [0, 0.6])
def test_dark_clothes_are_no_hole(blur: float):
    frames, _ = shown(BACKGROUNDS["black"])
    frames[:, 30:40, 32:36] = (6, 6, 6)
    assert figure_of(damaged(frames, blur, 0))[:, 30:40, 32:36].all()


def test_specks_on_the_ground_are_no_figure():
    frames, masks = shown(BACKGROUNDS["black"])
    frames[:, 5:7, 50:52] = 255
    assert np.array_equal(figure_of(frames.astype(np.float32)), masks)


def test_cells_are_transparent_where_the_ground_was():
    frames, masks = shown(BACKGROUNDS["dark green"])
    cells = cut_out(frames.astype(np.float32))
    assert np.array_equal(cells[..., 3], np.where(masks, 255, 0))
    assert np.array_equal(cells[masks][:, :3], frames[masks]) and not cells[~masks].any()


def test_clips_of_larger_pixels_are_brought_to_the_sheets_size():
    frames, _ = shown(BACKGROUNDS["midnight blue"])
    native = native_frames(enlarged(frames, 2))
    assert np.array_equal(native, frames)
    assert ground_colour(native).tolist() == list(BACKGROUNDS["midnight blue"])
