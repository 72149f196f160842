"""Captions of sprites: a scene in words, as people write them.

The first caption of a clip is the plain one to prompt with, and says everything. The others differ in
phrasing, order, case, punctuation, lead-ins and tails, and leave some attributes out.
"""

from collections.abc import Sequence

import numpy as np

from videolm.data.sources.caption_variation import as_written

from .scenes import PARTS, Scene
from .sheets import Sheets

Phrases = tuple[str, ...]

SKINS: tuple[Phrases, ...] = (
    ("pale pink", "light pink"),
    ("tan", "golden tan"),
    ("grey-blue", "blue-grey"),
    ("pale blue", "icy blue"),
    ("light brown", "caramel brown"),
    ("dark brown", "deep brown"),
    ("green orc",),
)
ORC = 6
# What follows "with".
HAIR: tuple[Phrases, ...] = (
    ("spiky green hair", "green hair in spikes"),
    ("blue hair in a top knot", "a blue top knot"),
    ("spiky orange hair", "orange hair in spikes"),
    ("parted silver hair", "silver hair with a parting"),
    ("a crimson bowl cut", "crimson hair in a bowl cut"),
    ("curly purple hair", "purple curls"),
    ("a black and white side sweep", "black and white hair swept to the side"),
    ("a bright red bowl cut", "bright red hair in a bowl cut"),
    ("spiky pink hair", "pink hair in spikes"),
    ("curly orange hair", "orange curls"),
)
# What follows "wearing".
TOPS: tuple[Phrases, ...] = (
    ("a dark red long-sleeved shirt", "a dark red shirt", "a maroon shirt"),
    ("a light blue long-sleeved shirt", "a light blue shirt", "a sky-blue shirt"),
    ("a cream long-sleeved shirt", "a cream shirt"),
    ("a steel chest plate", "a steel breastplate"),
    ("a brown leather vest", "a leather vest"),
    ("a white shirt with a grey tie", "a white shirt and a tie"),
    ("a grey chain-mail coat", "chain mail"),
)
BOTTOMS: tuple[Phrases, ...] = (
    ("white trousers", "white pants"),
    ("golden leg armour", "leg armour of gold"),
    ("red trousers", "red pants"),
    ("steel leg armour", "leg armour of steel"),
    ("teal trousers", "teal pants"),
    ("dark green trousers", "dark green pants"),
    ("a brown robe skirt", "a long brown skirt"),
)
SHOES: tuple[Phrases, ...] = (
    ("brown shoes", "brown leather shoes"),
    ("golden boots", "boots of gold"),
    ("steel boots", "boots of steel"),
)
EYES: tuple[Phrases, ...] = (("blue eyes",), ("grey eyes",), ("red eyes",), ("green eyes",), ("yellow eyes",))
WORDS = {"body": SKINS, "hair": HAIR, "top": TOPS, "bottom": BOTTOMS, "shoes": SHOES, "eyes": EYES}
# As it is going on, and as it is told.
ACTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "cast": (("casting a spell", "casts a spell"), ("working magic", "works magic")),
    "thrust": (("thrusting forwards", "thrusts forwards"), ("stabbing ahead", "stabs ahead")),
    "walk": (("walking", "walks"), ("strolling", "strolls")),
    "slash": (("making a slashing motion", "makes a slashing motion"), ("slashing", "slashes")),
    "shoot": (("drawing and shooting a bow", "draws and shoots a bow"), ("shooting arrows", "shoots arrows")),
}
DIRECTIONS: dict[str, Phrases] = {
    "back": ("facing away from the viewer", "seen from behind", "with the back to us"),
    "left": ("facing left", "turned to the left", "looking left"),
    "front": ("facing the viewer", "seen from the front", "facing the camera"),
    "right": ("facing right", "turned to the right", "looking right"),
}
_NOUNS = ("character", "figure", "person", "hero")
# Beside those of any caption.
_TAILS = (
    ", pixel art", ", pixel-art sprite", ", 16-bit game style", ", looping animation", " in a retro game",
    " (sprite)",
)  # fmt: skip
# How often a caption that is not the plain one leaves out an attribute, and names eyes or background.
_LEFT_OUT, _EXTRA = 0.15, 0.25
_TAILED = 0.15


def check_words(sheets: Sheets) -> None:
    """Every sheet has a name.

    Raises:
        ValueError: if a folder has more sheets than there are words for.
    """
    for layer, words in WORDS.items():
        if sheets.options(layer) > len(words):
            raise ValueError(
                f"{layer} has {sheets.options(layer)} sheets; examples/sprites/captions.py names {len(words)}"
            )


def plain_caption(scene: Scene) -> str:
    """Everything but eyes and background, in the first phrasing of each."""
    hair, top, bottom, shoes = (
        WORDS[part][getattr(scene, part)][0] for part in ("hair", "top", "bottom", "shoes")
    )
    skin = "A green orc with" if scene.body == ORC else f"A character with {SKINS[scene.body][0]} skin and"
    action, direction = ACTIONS[scene.action][0][0], DIRECTIONS[scene.direction][0]
    return f"{skin} {hair}, wearing {top}, {bottom} and {shoes}, {action}, {direction}."


def varied_caption(scene: Scene, rng: np.random.Generator, eyes: bool) -> str:
    """Another way to say it.

    Args:
        eyes: whether they may be named, since a layer of eyes can be seen.
    """
    words = {part: _choice(rng, WORDS[part][getattr(scene, part)]) for part in PARTS}
    words["action"] = str(rng.integers(len(ACTIONS[scene.action])))
    words["direction"] = _choice(rng, DIRECTIONS[scene.direction])
    told = {key: value for key, value in words.items() if rng.random() >= _LEFT_OUT}
    told = told or {"body": words["body"]}
    if eyes and scene.eyes is not None and rng.random() < _EXTRA:
        told["eyes"] = _choice(rng, EYES[scene.eyes])
    text = _choice(rng, (_sentence, _told, _action_first, _two_sentences, _tags))(scene, told, rng)
    if rng.random() < _EXTRA:
        text += f", on a {scene.background} background"
    text += _choice(rng, _TAILS) if rng.random() < _TAILED else ""
    return as_written(text, rng)


def captions_of(scene: Scene, rng: np.random.Generator, count: int, eyes: bool) -> list[str]:
    """The plain caption and `count` - 1 others."""
    return [plain_caption(scene), *(varied_caption(scene, rng, eyes) for _ in range(count - 1))]


def _sentence(scene: Scene, told: dict[str, str], rng: np.random.Generator) -> str:
    parts = _shuffled(rng, [_clothes(told, rng), _doing(scene, told), told.get("direction", "")])
    return ", ".join([_subject(told, rng), *parts])


def _told(scene: Scene, told: dict[str, str], rng: np.random.Generator) -> str:
    verb = ACTIONS[scene.action][int(told["action"])][1] if "action" in told else "is seen"
    parts = _shuffled(rng, [told.get("direction", ""), _clothes(told, rng)])
    return ", ".join([f"{_subject(told, rng)} {verb}", *parts])


def _action_first(scene: Scene, told: dict[str, str], rng: np.random.Generator) -> str:
    head = [part for part in (_doing(scene, told), told.get("direction", "")) if part]
    rest = [part for part in (_subject(told, rng), _clothes(told, rng)) if part]
    return ": ".join([*([", ".join(head)] if head else []), ", ".join(rest)])


def _two_sentences(scene: Scene, told: dict[str, str], rng: np.random.Generator) -> str:
    subject = _subject({key: told[key] for key in told if key == "body"}, rng)
    doing = [part for part in (_doing(scene, told), told.get("direction", "")) if part]
    first = f"{subject}, {', '.join(doing)}" if doing else subject
    has = [told[key] for key in ("hair", "eyes") if key in told]
    clothes = _shuffled(rng, [told.get(key, "") for key in ("top", "bottom", "shoes")])
    more = [f"It has {_joined(has)}"] if has else []
    more += [f"It wears {_joined(clothes)}"] if clothes else []
    return ". ".join([first, *_shuffled(rng, more)])


def _tags(scene: Scene, told: dict[str, str], rng: np.random.Generator) -> str:
    plain = [told[key] for key in ("hair", "top", "bottom", "shoes", "eyes", "direction") if key in told]
    skin = [_skin(told["body"])] if "body" in told else []
    tags = [*plain, *skin, *([_doing(scene, told)] if "action" in told else [])]
    return ", ".join(tag.removeprefix("a ") for tag in _shuffled(rng, tags))


def _subject(told: dict[str, str], rng: np.random.Generator) -> str:
    """Who it is, with skin, hair and eyes as far as they are told."""
    noun, skin = _choice(rng, _NOUNS), told.get("body", "")
    having = [told[key] for key in ("hair", "eyes") if key in told]
    if skin == SKINS[ORC][0]:
        subject = f"a {skin}"
    elif skin and rng.random() < 0.5:
        subject = f"{_article(skin)} {skin}-skinned {noun}"
    else:
        subject = f"a {noun}"
        having = [f"{skin} skin", *having] if skin else having
    return f"{subject} with {_joined(having)}" if having else subject


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _skin(words: str) -> str:
    return words if words == SKINS[ORC][0] else f"{words} skin"


def _clothes(told: dict[str, str], rng: np.random.Generator) -> str:
    worn = _shuffled(rng, [told.get(key, "") for key in ("top", "bottom", "shoes")])
    return f"{_choice(rng, ('wearing', 'in', 'dressed in'))} {_joined(worn)}" if worn else ""


def _doing(scene: Scene, told: dict[str, str]) -> str:
    return ACTIONS[scene.action][int(told["action"])][0] if "action" in told else ""


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _shuffled(rng: np.random.Generator, parts: Sequence[str]) -> list[str]:
    """Those that are not empty, in any order."""
    told = [part for part in parts if part]
    return [told[index] for index in rng.permutation(len(told))]


def _choice(rng: np.random.Generator, values):
    return values[rng.integers(len(values))]
