"""Captions of sprites say what is seen, in many ways."""

import re
from dataclasses import replace

import numpy as np
import pytest

from videolm.examples.sprites.captions import (
    ACTIONS,
    DIRECTIONS,
    WORDS,
    captions_of,
    check_words,
    plain_caption,
    varied_caption,
)
from videolm.examples.sprites.scenes import BACKGROUNDS, Scene

SCENE = Scene("walk", "left", 1, 0, 2, 3, 1, eyes=2, phase=0, background="midnight blue")
# What may be said of a layer, action or direction, by its value; skins only with what follows them.
SAID = {layer: dict(enumerate(phrases)) for layer, phrases in WORDS.items()}
SAID["body"] = {
    option: tuple(f"{word}{end}" for word in words for end in (" skin", "-skinned")) if option != 6 else words
    for option, words in SAID["body"].items()
}
SAID["action"] = {action: tuple(word for pair in pairs for word in pair) for action, pairs in ACTIONS.items()}
SAID["direction"] = dict(DIRECTIONS)


def any_scene(rng: np.random.Generator) -> Scene:
    parts = {part: int(rng.integers(len(words))) for part, words in WORDS.items()}
    action, direction = rng.choice(list(ACTIONS)), rng.choice(list(DIRECTIONS))
    return Scene(str(action), str(direction), **parts, phase=0, background=str(rng.choice(list(BACKGROUNDS))))


def told(caption: str, key: str) -> set:
    """The values of an attribute that a caption names."""
    text = caption.lower()
    return {
        value
        for value, phrases in SAID[key].items()
        if any(re.search(rf"\b{re.escape(each.removeprefix('a '))}\b", text) for each in phrases)
    }


@pytest.mark.parametrize("key", list(SAID))
def test_no_words_of_one_value_stand_for_another(key: str):
    for value, phrases in SAID[key].items():
        for phrase in phrases:
            assert told(phrase, key) == {value}


def test_a_caption_names_nothing_that_is_not_seen():
    rng = np.random.default_rng(0)
    for _ in range(500):
        scene = any_scene(rng)
        caption = varied_caption(scene, rng, eyes=False)
        for key in SAID.keys() - {"eyes"}:
            assert told(caption, key) <= {getattr(scene, key)}, caption
        assert not told(caption, "eyes"), caption
        named = [name for name in BACKGROUNDS if f"on a {name} background" in caption.lower()]
        assert named in ([], [scene.background])


def test_the_plain_caption_names_everything_that_is_scored():
    rng = np.random.default_rng(1)
    for _ in range(200):
        scene = any_scene(rng)
        caption = plain_caption(scene)
        for key in SAID.keys() - {"eyes"}:
            assert told(caption, key) == {getattr(scene, key)}, caption


def test_captions_vary_in_form_and_leave_attributes_out():
    rng = np.random.default_rng(2)
    captions = [varied_caption(SCENE, rng, eyes=True) for _ in range(400)]
    assert len(set(captions)) > 390
    for key in SAID:
        share = np.mean([bool(told(caption, key)) for caption in captions])
        assert 0.1 < share < 0.97, (key, share)
    endings = {caption.rstrip('"')[-1] for caption in captions}
    assert {".", "!", "…"} <= endings and any(ending.isalpha() for ending in endings)
    assert {"lower", "upper", "mixed"} == {
        "lower" if each.islower() else "upper" if each.isupper() else "mixed" for each in captions
    }
    both = [each.lower() for each in captions if told(each, "hair") and told(each, "shoes")]
    assert 0.1 < np.mean([each.index("green") < each.index("boots") for each in both]) < 0.95


def test_the_first_of_a_clips_captions_is_the_plain_one():
    captions = captions_of(SCENE, np.random.default_rng(0), 4, eyes=True)
    assert captions[0] == plain_caption(SCENE) and len(captions) == 4
    assert captions[0] == (
        "A character with tan skin and spiky green hair, wearing a cream long-sleeved shirt, "
        "steel leg armour and golden boots, walking, facing left."
    )
    assert plain_caption(replace(SCENE, body=6)).startswith("A green orc with spiky green hair, wearing")


def test_more_sheets_than_words_are_refused(sheets):
    check_words(sheets)
    more = replace(sheets, cells={**sheets.cells, "shoes": np.repeat(sheets.cells["shoes"], 2, axis=0)})
    with pytest.raises(ValueError, match=r"shoes has 4 sheets; examples/sprites/captions\.py names 3"):
        check_words(more)
