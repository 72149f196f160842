"""Captions in the forms of other writers: the same words, and none that say what is to be seen."""

import re
from collections import Counter

import numpy as np
import pytest

from videolm.data.sources.caption_variation import (
    EMOJI,
    FORMS,
    LABELS,
    LEAD_INS,
    TAILS,
    as_written,
    reordered,
    varied,
)
from videolm.data.synthetic.caption_grammar import CAMERA_PHRASES, MOTION_PHRASES
from videolm.data.synthetic.scene import COLOURS, SHAPES, TEXTURES

CAPTIONS = (
    "A cat jumps onto a table.",
    "Two cars drive by",
    "a dog, brown fur, sunny day, park",
    "It's Anna's 3.5-litre car! She waves",
    "Wind bends the reeds. A heron stands still. Rain falls.",
)
ADDED = " ".join((*LEAD_INS, *LABELS, *TAILS)).replace(":", "").split()


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.casefold()))


@pytest.mark.parametrize("caption", CAPTIONS)
def test_forms_differ_and_keep_every_word(caption: str):
    forms = [varied(caption, form) for form in range(FORMS)]
    assert forms == [varied(caption, form) for form in range(FORMS)]
    assert len(set(forms)) > FORMS / 3
    for text in forms:
        assert not words(caption) - words(text), text
        assert set(words(text) - words(caption)) <= set(ADDED), text
    assert any(text.isupper() for text in forms) and any(text.islower() for text in forms)
    assert any(text[-1] in "!….\"”'»" for text in forms) and any(text[-1].isalnum() for text in forms)
    assert any(words(text) == words(caption) for text in forms)
    for added in (LABELS, TAILS):
        assert any(each in text.casefold() for text in forms for each in added)


def test_every_addition_is_seen_about_as_often_as_the_others():
    """A piece that training shows once in a thousand rows is as good as unknown."""
    forms = [varied(f"A cat number {number} jumps.", number % FORMS).casefold() for number in range(8000)]
    for added in (LEAD_INS, LABELS, TAILS, EMOJI):
        for each in added:
            assert 0.004 < sum(each in text for text in forms) / len(forms) < 0.2, each


def test_nothing_that_is_added_says_what_is_to_be_seen():
    told = [*COLOURS, *SHAPES, *TEXTURES]
    for phrases in (*MOTION_PHRASES.values(), *CAMERA_PHRASES.values()):
        told += [word for phrase in phrases for word in phrase.split()]
    usual = {"a", "in", "the", "is", "of", "to", "and", "from"}
    assert not set(ADDED) & (set(told) - usual)


@pytest.mark.parametrize(
    ("caption", "kept"),
    [
        ("", ""),
        ("  ", "  "),
        ("...", "..."),
        ("what is it?", "what is it?"),
        ('he says "go"', 'he says "go"'),
        ("red (and round)", "red (and round)"),
    ],
)
def test_what_has_no_room_for_another_form_stays(caption: str, kept: str):
    assert {varied(caption, form) for form in range(FORMS)} == {kept}


def test_texts_in_other_scripts_get_no_english_words():
    assert {varied("一只猫跑。", form) for form in range(FORMS)} == {"一只猫跑。", "一只猫跑"}


@pytest.mark.parametrize(
    ("text", "may_change"),
    [
        ("a dog, brown fur, sunny day, park", True),
        ("Paris at night. Two cars drive by.", True),
        ("a dog runs, then jumps, then sleeps", False),
        ("A man sits. He reads.", False),
        ("a cat, a dog and a mouse", False),
        ("A tall man in a long black coat walks, slowly, home", False),
        ("Water boils at 3.5 bar. Tea", False),
    ],
)
def test_order_changes_only_where_nothing_depends_on_it(text: str, may_change: bool):
    found = {reordered(text, np.random.default_rng(seed)) for seed in range(40)}
    assert (len(found) > 1) == may_change
    assert all(words(each) == words(text) for each in found)


def test_a_lead_in_that_needs_a_thing_stands_before_one():
    for seed in range(300):
        text = as_written("Wind bends the reeds", np.random.default_rng(seed)).casefold()
        assert not any(f"{lead} wind" in text for lead in LEAD_INS)
