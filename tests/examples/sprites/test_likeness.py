"""Clips of one character agree more than clips of two; of several tries the best is kept."""

import numpy as np

from videolm.examples.sprites.attribute_reader import Reading
from videolm.examples.sprites.ground import cut_out
from videolm.examples.sprites.likeness import Try, agreement, choose, identity_agreement, look_of
from videolm.examples.sprites.scenes import PARTS, Scene, draw_frames
from videolm.examples.sprites.soft_fit import Softness


def look(sheets, action: str, direction: str, background: str = "black", **parts: int):
    values = dict.fromkeys(PARTS, 0) | parts
    scene = Scene(action, direction, **values, eyes=None, phase=0, background=background)
    return look_of(cut_out(draw_frames(sheets, scene, 6).astype(np.float32)))


def test_one_character_agrees_with_itself_in_other_poses(sheets):
    one = look(sheets, "slash", "front")
    assert agreement(one, one) == 1
    same = agreement(one, look(sheets, "walk", "front", "dark green"))
    assert same > 0.75
    for part in PARTS:
        assert agreement(one, look(sheets, "slash", "front", **{part: 1})) < same


def test_the_try_that_agrees_is_kept_and_one_that_closes_before_it(sheets):
    right, wrong = look(sheets, "slash", "front"), look(sheets, "slash", "front", hair=1)
    groups = [[Try(right, True)] for _ in range(4)]
    assert choose([*groups, [Try(wrong, True), Try(right, True)]])[-1] == 1
    assert choose([*groups, [Try(wrong, True), Try(right, False)]])[-1] == 0
    assert choose([*groups, [Try(wrong, True), Try(right, False, right=1)]])[-1] == 1


def test_clips_without_a_choice_lead_the_others():
    cells = np.zeros((1, 64, 64, 4), np.uint8)
    cells[..., 3] = 255
    light, dark = look_of(cells + np.uint8([255, 255, 255, 0])), look_of(cells)
    several = [*[Try(dark, True)] * 4, Try(light, True)]  # most of all tries are dark
    assert choose([[Try(light, True)], [Try(light, True)], several]) == [0, 0, 4]


def reading(**told: int | None) -> Reading:
    return Reading(dict.fromkeys(PARTS, 0) | told, {}, 1.0, 0, Softness(), (0.0, 0.0, 0.0))


def test_identity_is_the_share_of_clips_that_show_what_most_show():
    told = identity_agreement([reading()] * 15 + [reading(hair=3)] * 3 + [reading(hair=None, top=None)] * 2)
    assert told == {"body": 1, "hair": 0.75, "top": 0.9, "bottom": 1, "shoes": 1, "mean": 0.93}
    unread = identity_agreement([reading(**dict.fromkeys(PARTS))] * 3)
    assert set(unread.values()) == {0}
