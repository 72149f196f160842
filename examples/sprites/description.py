"""A description in people's words to a whole character, in the words of captions.py.

Whole phrases are looked for first ("crimson hair in a bowl cut"). Then a noun with the words before it
narrows down what may be meant ("a red shirt", "spiky hair"), and the seed draws among what is left.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .attribute_reader import Reading
from .captions import ACTIONS, DIRECTIONS, ORC, WORDS, plain_caption
from .scenes import PARTS, Scene

Values = dict[str, int]  # the number of each part's sheet

# Words that say which part is described; those before one of them are about it.
_NOUNS = {
    "body": ("skin", "skinned", "orc"),
    "hair": ("hair", "haired", "curls", "knot", "cut", "sweep"),
    "top": ("shirt", "vest", "coat", "plate", "breastplate", "mail", "tie"),
    "bottom": ("trousers", "pants", "armour", "skirt", "robe"),
    "shoes": ("shoes", "boots"),
}
# Words that add nothing, or that all twenty clips have in their own way.
_PASSED_OVER = {
    "a", "an", "and", "in", "is", "it", "its", "has", "of", "on", "the", "to", "who", "with", "wearing",
    "wears", "dressed", "character", "figure", "person", "hero",
}  # fmt: skip
# Of the public sheets these are empty in thrust and shoot: no model has seen them there, no seed draws them.
_NOT_IN_ALL_ACTIONS = {"top": 5, "bottom": 5}
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True)
class Character:
    """A whole character.

    Args:
        parts: the number of each part's sheet.
        seed: of what was drawn.
        drawn: the parts, or what a description leaves open of them, that it drew.
        unknown: words of the description that name nothing.
    """

    parts: Values
    seed: int
    drawn: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def prompt(self, action: str, direction: str) -> str:
        """As the first caption of a training clip says it."""
        return plain_caption(Scene(action, direction, **self.parts, eyes=None, phase=0, background="black"))

    def words(self, part: str) -> str:
        skin = "" if part != "body" or self.parts[part] == ORC else " skin"
        return WORDS[part][self.parts[part]][0] + skin

    def never_in_all_actions(self) -> list[str]:
        """What the public sheets do not show in all actions."""
        return [
            self.words(part) for part, value in _NOT_IN_ALL_ACTIONS.items() if self.parts[part] == value
        ]


def described(text: str, seed: int) -> Character:
    """The character of a description; what it leaves open is drawn.

    Raises:
        ValueError: if it names nothing of a character, or two of a part.
    """
    left = f" {' '.join(_WORD.findall(text.lower()))} "
    found: dict[str, set[int]] = {}
    for part, value, phrase in _phrases():
        if f" {phrase} " in left:
            left = left.replace(f" {phrase} ", " | ")
            if value is not None:
                _add(found, part, {value})
    words, narrowed = _nouns(left.split())
    for part, values in narrowed:
        _add(found, part, values)
    if not found:
        raise ValueError(
            f"{text[:60]!r} names no skin, hair or clothes that captions.py knows; expected something like "
            "'A green orc with curly purple hair'"
        )
    unknown = tuple(dict.fromkeys(word for word in words if word != "|" and word not in _PASSED_OVER))
    parts, drawn = _drawn(found, seed)
    return Character(parts, seed, drawn, unknown)


def completed(reading: Reading, seed: int) -> Character:
    """The character that was read off a picture; what could not be told is drawn.

    Raises:
        ValueError: if nothing could be told.
    """
    read = {part: reading.attributes[part] for part in PARTS}
    found = {part: {value} for part, value in read.items() if isinstance(value, int)}
    if not found:
        raise ValueError("the picture shows no character of these sheets")
    parts, drawn = _drawn(found, seed)
    return Character(parts, seed, drawn)


def _phrases() -> list[tuple[str, int | None, str]]:
    """Part, value and words of all that can be named, the longest first; poses have no value."""
    phrases: list[tuple[str, int | None, str]] = []
    for part in PARTS:
        for value, each in enumerate(WORDS[part]):
            # "Pale pink" is skin only where it is said to be.
            ends = (" skin", "-skinned") if part == "body" and value != ORC else ("",)
            phrases += [(part, value, phrase + end) for phrase in each for end in ends]
    phrases += [("action", None, words) for pairs in ACTIONS.values() for pair in pairs for words in pair]
    phrases += [("direction", None, words) for each in DIRECTIONS.values() for words in each]
    plain = [
        (part, value, " ".join(_WORD.findall(words)).removeprefix("a ")) for part, value, words in phrases
    ]
    return sorted(plain, key=lambda each: -len(each[2]))


def _nouns(words: Sequence[str]) -> tuple[list[str], list[tuple[str, set[int]]]]:
    """The words that are left without nouns and what is said of them; and what each noun may mean."""
    left: list[str] = []
    found = []
    for word in words:
        part = next((part for part, nouns in _NOUNS.items() if word in nouns), None)
        if part is None:
            left.append(word)
            continue
        about = [set(_WORD.findall(" ".join(phrases))) for phrases in WORDS[part]]
        said = {word}
        while left and any(left[-1] in each for each in about) and left[-1] not in _PASSED_OVER:
            said.add(left.pop())
        shared = [len(said & each) for each in about]
        values = {value for value, count in enumerate(shared) if count == max(shared)}
        if 0 < len(values) < len(about):
            found.append((part, values))
        left.append("|")
    return left, found


def _add(found: dict[str, set[int]], part: str, values: set[int]) -> None:
    both = found.get(part, values) & values
    if not both:
        named = " and ".join(WORDS[part][value][0] for value in sorted(found[part] | values))
        raise ValueError(f"the description names {named} as the {part} of one character; leave one out")
    found[part] = both


def _drawn(found: Mapping[str, set[int]], seed: int) -> tuple[Values, tuple[str, ...]]:
    """A value of each part among those that it may have, and which of them were drawn."""
    rng = np.random.default_rng(seed)
    parts, drawn = {}, []
    for part in PARTS:
        usual = set(range(len(WORDS[part]))) - {_NOT_IN_ALL_ACTIONS.get(part)}
        options = found.get(part, usual)
        options = sorted((options & usual) or options)
        pick = int(rng.integers(len(options)))  # also where there is no choice: parts do not hang together
        parts[part] = options[pick]
        if len(options) > 1:
            drawn.append(part)
    return parts, tuple(drawn)
