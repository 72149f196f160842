"""What a clip shows: which split it is in, and how layers lie over one another."""

from dataclasses import replace

import numpy as np
import pytest

from videolm.examples.sprites.scenes import (
    BACKGROUNDS,
    HELD_OUT_PAIRS,
    PARTS,
    Scene,
    draw_frames,
    draw_scene,
    is_held_out,
    shows_eyes,
    split_of,
)
from videolm.examples.sprites.sheets import ACTIONS

SCENE = Scene("slash", "front", 0, 1, 2, 1, 1, eyes=0, phase=2, background="charcoal")
PAIRS = {"walk": 0, "cast": 1}
SHARE = 0.2


def scenes_of(sheets, split, seed=0, count=150):
    rngs = [np.random.default_rng([seed, index]) for index in range(count)]
    return [draw_scene(sheets, rng, split, PAIRS, SHARE) for rng in rngs]


def test_splits_share_neither_pairs_nor_characters_whatever_the_seed(sheets):
    train = scenes_of(sheets, "train", seed=0)
    pairs = scenes_of(sheets, "pairs", seed=1)
    characters = scenes_of(sheets, "characters", seed=2)
    assert not any(PAIRS.get(scene.action) == scene.top for scene in train + characters)
    assert all(PAIRS[scene.action] == scene.top for scene in pairs)
    held_out = {scene.character for scene in characters}
    assert held_out and not held_out & {scene.character for scene in train + pairs}


def test_all_scenes_are_in_one_split_each(sheets):
    scenes = scenes_of(sheets, "all", count=400)
    splits = {split_of(scene, PAIRS, SHARE) for scene in scenes}
    assert splits == {"train", "pairs", "characters", "both"}


def test_about_one_character_in_twenty_is_held_out():
    characters = [f"{number // 100}-{number % 10}-0-{number // 10 % 10}-0" for number in range(4000)]
    assert 0.04 < np.mean([is_held_out(character) for character in characters]) < 0.06


def test_the_pairs_held_out_are_those_of_the_benchmark():
    assert HELD_OUT_PAIRS == {"cast": 3, "shoot": 1, "slash": 5, "thrust": 0, "walk": 6}


def test_what_a_sheet_does_not_draw_is_never_worn(sheets):
    scenes = scenes_of(sheets, "all", count=400)
    assert not [each for each in scenes if (each.action, each.top) == ("shoot", 1)]


def test_a_character_is_one_group_and_has_the_same_eyes_in_every_clip(sheets):
    eyes: dict[str, set[int | None]] = {}
    for scene in scenes_of(sheets, "all", count=600):
        eyes.setdefault(scene.character, set()).add(scene.eyes)
        line = scene.to_json()
        assert line["group"] == line["character"] == "-".join(str(line[part]) for part in PARTS)
    assert all(len(each) == 1 for each in eyes.values())
    assert {0, 1, None} == set.union(*eyes.values())


def test_a_split_without_scenes_is_said(sheets, monkeypatch):
    monkeypatch.setattr("videolm.examples.sprites.scenes._MOST_DRAWS", 100)
    with pytest.raises(ValueError, match="no character of these sheets is in the split 'pairs'"):
        draw_scene(sheets, np.random.default_rng(0), "pairs", {"walk": 9}, SHARE)


@pytest.mark.parametrize(
    ("place", "layer"),
    [
        ((18, 32), "hair"),  # over the body
        ((27, 30), "eyes"),  # over the body
        ((45, 32), "top"),  # over the trousers
        ((50, 32), "bottom"),
        ((56, 32), "shoes"),  # over the trousers
        ((30, 32), "body"),
    ],
)
def test_layers_lie_over_one_another_in_order(sheets, place: tuple[int, int], layer: str):
    # The first column of an action is not moved down, and "front" stands 2 pixels to the right in slash.
    frame = draw_frames(sheets, replace(SCENE, phase=0), 1)[0]
    colour = sheets.cycle(layer, "slash", "front")[getattr(SCENE, layer), 0, place[0], place[1] + 2]
    assert colour[3] == 255
    assert frame[place[0], place[1] + 2].tolist() == colour[:3].tolist()
    assert frame[2, 2].tolist() == list(BACKGROUNDS["charcoal"])


def test_half_transparent_pixels_are_mixed_with_what_is_below(sheets):
    before = draw_frames(sheets, SCENE, 1)
    cells = {layer: values.copy() for layer, values in sheets.cells.items()}
    cells["hair"][..., 3] //= 2  # 127 of 255
    cells["hair"][..., :3] = 255
    frame = draw_frames(replace(sheets, cells=cells), SCENE, 1)
    without = draw_frames(replace(sheets, cells={**cells, "hair": 0 * cells["hair"]}), SCENE, 1)
    mixed = np.abs(frame.astype(int) - without)[(before != without)]
    expected = np.abs((255 - without.astype(float)) * 127 / 255)[(before != without)]
    assert len(mixed) and np.abs(mixed - expected).max() <= 0.5


def test_the_action_is_repeated_from_its_phase_on(sheets):
    period = ACTIONS["slash"].period
    frames = draw_frames(sheets, SCENE, 17)
    assert np.array_equal(frames[period:], frames[:-period])
    first = draw_frames(sheets, replace(SCENE, phase=0), 17)
    assert np.array_equal(frames[: 17 - 2], first[2:])
    assert len(np.unique(frames[:period], axis=0)) > 2


def test_eyes_are_seen_from_the_front_and_not_from_behind(sheets):
    assert shows_eyes(sheets, SCENE)
    assert not shows_eyes(sheets, replace(SCENE, direction="back"))
    assert not shows_eyes(sheets, replace(SCENE, eyes=None))
