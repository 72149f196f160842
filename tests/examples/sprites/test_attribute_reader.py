"""What is read off clips of known characters, and what is left open."""

from dataclasses import replace

import numpy as np
import pytest

from videolm.examples.sprites.attribute_reader import AttributeReader
from videolm.examples.sprites.render import enlarged
from videolm.examples.sprites.scenes import KEYS, Scene, draw_frames, draw_scene, shows_eyes
from videolm.examples.sprites.sheets import ACTIONS, DIRECTIONS
from videolm.examples.sprites.soft_fit import blurred

CLIPS = 12
SCENE = Scene("slash", "front", 0, 1, 2, 1, 1, eyes=0, phase=2, background="charcoal")


@pytest.fixture(scope="module")
def reader(sheets) -> AttributeReader:
    return AttributeReader(sheets)


def scenes_of(sheets) -> list[Scene]:
    return [draw_scene(sheets, np.random.default_rng([3, index])) for index in range(CLIPS)]


def right(scene: Scene, attributes: dict) -> list[bool]:
    return [attributes[key] == getattr(scene, key) for key in KEYS]


@pytest.mark.parametrize("scale", [1, 2])
def test_every_attribute_of_rendered_clips_is_read(sheets, reader: AttributeReader, scale: int):
    for scene in scenes_of(sheets):
        reading = reader.read(enlarged(draw_frames(sheets, scene, 17), scale))
        assert all(right(scene, reading.attributes)), (scene, reading)
        assert reading.phase == scene.phase and reading.explained > 0.999
        if shows_eyes(sheets, scene):
            assert reading.attributes["eyes"] == scene.eyes


def test_every_action_and_direction_is_told_from_every_other(sheets, reader: AttributeReader):
    for action in ACTIONS:
        for direction in DIRECTIONS:
            scene = replace(SCENE, action=action, direction=direction, phase=0)
            read = reader.read(draw_frames(sheets, scene, 17)).attributes
            assert (read["action"], read["direction"]) == (action, direction)


def test_soft_and_noisy_clips_are_read_too(sheets, reader: AttributeReader):
    rng = np.random.default_rng(0)
    results = []
    for scene in scenes_of(sheets):
        frames = blurred(draw_frames(sheets, scene, 17).astype(np.float32), 0.6)
        noisy = frames + rng.normal(0, 255 / 10 ** (28 / 20), frames.shape)
        results += right(scene, reader.read(noisy.clip(0, 255).round().astype(np.uint8)).attributes)
    assert np.mean(results) >= 0.98


def test_nothing_is_told_of_clips_that_show_no_character(reader: AttributeReader):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (17, 64, 64, 3), np.uint8)
    blank = np.full((17, 64, 64, 3), 30, np.uint8)
    square = blank.copy()
    square[:, 20:44, 20:44] = (200, 60, 200)
    for frames in (noise, blank, square, noise // 4):
        assert set(reader.read(frames).attributes.values()) == {None}


def test_of_two_characters_mixed_what_they_share_is_told(sheets, reader: AttributeReader):
    one, other = (draw_frames(sheets, replace(SCENE, top=top), 17).astype(int) for top in (0, 2))
    read = reader.read(((one + other) // 2).astype(np.uint8)).attributes
    assert read["top"] is None
    assert {key: read[key] for key in KEYS if key != "top"} == {
        key: getattr(SCENE, key) for key in KEYS if key != "top"
    }


def test_a_colour_that_no_sheet_has_is_left_open(sheets, reader: AttributeReader):
    frames = draw_frames(sheets, SCENE, 17)
    colour = sheets.cycle("top", "slash", "front")[SCENE.top, 0, 40, 34, :3]
    frames[(frames == colour).all(-1)] = (170, 0, 190)
    read = reader.read(frames).attributes
    assert read["top"] is None and read["hair"] == SCENE.hair and read["action"] == "slash"


def test_what_is_hidden_is_left_open(sheets):
    long_tops = sheets.cells["top"].copy()
    covered = sheets.cells["bottom"][0, ..., 3] > 0
    for pixels in long_tops:
        pixels[covered] = pixels[pixels[..., 3] > 0][0]
    covering = replace(sheets, cells={**sheets.cells, "top": long_tops})
    read = AttributeReader(covering).read(draw_frames(covering, SCENE, 17)).attributes
    assert {key: read[key] for key in KEYS} == {key: getattr(SCENE, key) for key in KEYS} | {"bottom": None}


def test_nothing_is_told_of_clothes_that_are_not_worn(sheets, reader: AttributeReader):
    for layer in ("bottom", "shoes", "hair"):
        without = replace(sheets, cells={**sheets.cells, layer: sheets.cells[layer] * 0})
        read = reader.read(draw_frames(without, SCENE, 17)).attributes
        assert {key: read[key] for key in KEYS} == {key: getattr(SCENE, key) for key in KEYS} | {layer: None}


def test_frames_of_another_size_are_refused(reader: AttributeReader):
    for shape in ((17, 48, 48, 3), (17, 64, 128, 3), (17, 96, 96, 3), (0, 64, 64, 3)):
        with pytest.raises(ValueError, match="expected some of 64x64 or a multiple"):
            reader.read(np.zeros(shape, np.uint8))
