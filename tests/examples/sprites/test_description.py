"""Descriptions become whole characters; what they leave open is drawn by the seed."""

from dataclasses import replace

import numpy as np
import pytest

from videolm.examples.sprites.attribute_reader import Reading
from videolm.examples.sprites.captions import ORC, WORDS, plain_caption
from videolm.examples.sprites.description import completed, described
from videolm.examples.sprites.scenes import PARTS, Scene
from videolm.examples.sprites.soft_fit import Softness

WHOLE = "A green orc with curly purple hair, wearing a dark red shirt, teal trousers and steel boots"


def named(text: str) -> dict[str, int]:
    character = described(text, 0)
    return {part: value for part, value in character.parts.items() if part not in character.drawn}


def test_every_prompt_is_read_as_the_character_that_it_was_written_for():
    rng = np.random.default_rng(0)
    for _ in range(60):
        parts = {part: int(rng.integers(len(WORDS[part]))) for part in PARTS}
        scene = Scene("shoot", "back", **parts, eyes=None, phase=0, background="black")
        character = described(plain_caption(scene), 1)
        assert (character.parts, character.drawn, character.unknown) == (parts, (), ())
        assert character.prompt("shoot", "back") == plain_caption(scene)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("an orc", {"body": ORC}),
        ("pink hair, very spiky hair", {"hair": 8}),
        ("Somebody with PALE BLUE skin and orange curls!", {"body": 3, "hair": 9}),
        ("a pale-pink-skinned hero in a red shirt", {"body": 0, "top": 0}),
        ("crimson hair in a bowl cut, a brown skirt", {"hair": 4, "bottom": 6}),
        ("a red bowl cut and a white shirt with a tie", {"hair": 7, "top": 5}),
        ("red pants, chain mail and brown shoes, walking, facing left", {"top": 6, "bottom": 2, "shoes": 0}),
    ],
)
def test_words_that_people_use_are_understood(text: str, parts: dict[str, int]):
    assert named(text) == parts


def test_what_is_left_open_is_drawn_by_the_seed_among_what_is_meant():
    drawn = [described("spiky hair and steel boots", seed) for seed in range(40)]
    assert {each.parts["hair"] for each in drawn} == {0, 2, 8}
    assert {each.parts["shoes"] for each in drawn} == {2}
    assert {each.parts["body"] for each in drawn} == set(range(len(WORDS["body"])))
    assert all(each.drawn == ("body", "hair", "top", "bottom") for each in drawn)
    assert described("spiky hair", 3) == described("spiky hair", 3)


def test_a_seed_draws_nothing_that_the_sheets_lack_in_an_action():
    drawn = [described("an orc", seed) for seed in range(60)]
    assert {each.parts["top"] for each in drawn} == {0, 1, 2, 3, 4, 6}
    assert not any(each.never_in_all_actions() for each in drawn)
    assert described("dark green trousers", 0).never_in_all_actions() == ["dark green trousers"]


def test_words_that_name_nothing_are_told():
    assert described(f"{WHOLE} and a flaming sword", 0).unknown == ("flaming", "sword")
    assert described("an orc with light brown hair", 0).unknown == ("light", "brown")  # no skin
    assert described(WHOLE, 0).unknown == () == described(WHOLE, 0).drawn


def test_descriptions_of_nobody_or_of_two_are_refused():
    for text in ("a red car", "", "someone walking, facing left", "hair"):
        with pytest.raises(ValueError, match="names no skin, hair or clothes"):
            described(text, 0)
    with pytest.raises(ValueError, match="names red trousers and teal trousers as the bottom of one"):
        described("red trousers and teal trousers", 0)


def test_what_a_picture_does_not_tell_is_drawn():
    read = dict.fromkeys(PARTS, 1) | {"shoes": None, "action": "walk"}
    reading = Reading(read, {}, 1.0, 0, Softness(), (0.0, 0.0, 0.0))
    character = completed(reading, 0)
    assert character.drawn == ("shoes",) and character.parts["hair"] == 1
    with pytest.raises(ValueError, match="the picture shows no character of these sheets"):
        completed(replace(reading, attributes=dict.fromkeys(PARTS)), 0)
