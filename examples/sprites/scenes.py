"""What a clip shows, drawn by seed and index, and which split it belongs to."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from .sheets import ACTIONS, BODIES_WITHOUT_EYE_LAYERS, CELL, DIRECTIONS, LAYERS, OPAQUE, Sheets

Split = Literal["train", "pairs", "characters", "all"]
# What a clip shows beside its background: the keys that are scored.
KEYS = ("action", "direction", "body", "hair", "top", "bottom", "shoes")
PARTS = ("body", "hair", "top", "bottom", "shoes")  # what makes a character
# Pairs of an action and a top that training never sees together.
HELD_OUT_PAIRS = {"cast": 3, "shoot": 1, "slash": 5, "thrust": 0, "walk": 6}
HELD_OUT_SHARE = 0.05  # of the characters
BACKGROUNDS = {
    "black": (0, 0, 0),
    "charcoal": (26, 26, 30),
    "midnight blue": (14, 18, 38),
    "dark green": (14, 28, 20),
}
OWN_EYES = "own"  # those of the body's sheet, without a layer over them
_MOST_DRAWS = 10_000
_FEWEST_EYE_PIXELS = 4  # from one side an eye has five


@dataclass(frozen=True)
class Scene:
    """One clip.

    Args:
        body, hair, top, bottom, shoes: the numbers of the sheets.
        eyes: a sheet's number, or None for the body's own.
        phase: which frame of the action's cycle comes first.
    """

    action: str
    direction: str
    body: int
    hair: int
    top: int
    bottom: int
    shoes: int
    eyes: int | None
    phase: int
    background: str

    @property
    def character(self) -> str:
        return "-".join(str(getattr(self, part)) for part in PARTS)

    def to_json(self) -> dict[str, str | int]:
        """What a line of captions.jsonl says of it; clips of one character are one group."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        named = {"eyes": values.get("eyes", OWN_EYES), "character": self.character}
        return values | named | {"group": self.character}


def is_held_out(character: str, share: float = HELD_OUT_SHARE) -> bool:
    """By the character's name alone, so that no seed's training clips show one of another seed's test."""
    return _fraction(f"held out {character}") < share


def split_of(scene: Scene, pairs: Mapping[str, int] = HELD_OUT_PAIRS, share: float = HELD_OUT_SHARE) -> str:
    """train, pairs (a held-out pair of action and top), characters (a held-out one), or both."""
    pair, character = pairs.get(scene.action) == scene.top, is_held_out(scene.character, share)
    return ("both" if character else "pairs") if pair else ("characters" if character else "train")


def draw_scene(
    sheets: Sheets,
    rng: np.random.Generator,
    split: Split = "all",
    pairs: Mapping[str, int] = HELD_OUT_PAIRS,
    share: float = HELD_OUT_SHARE,
    eyes: bool = True,
) -> Scene:
    """A scene of a split, each that the sheets draw completely as likely as another.

    Args:
        eyes: whether characters may have other eyes than their body's: half of them, always the same.

    Raises:
        ValueError: if the sheets have no scene of the split.
    """
    for _ in range(_MOST_DRAWS):
        scene = _draw(sheets, rng, eyes)
        drawn = all(sheets.is_drawn(part, getattr(scene, part), scene.action) for part in PARTS)
        if drawn and split in ("all", split_of(scene, pairs, share)):
            return scene
    raise ValueError(f"no character of these sheets is in the split {split!r}")


def _draw(sheets: Sheets, rng: np.random.Generator, eyes: bool) -> Scene:
    action = list(ACTIONS)[rng.integers(len(ACTIONS))]
    direction = DIRECTIONS[rng.integers(len(DIRECTIONS))]
    parts = {part: int(rng.integers(sheets.options(part))) for part in PARTS}
    phase = int(rng.integers(ACTIONS[action].period))
    background = list(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))]
    own = parts["body"] in BODIES_WITHOUT_EYE_LAYERS or not eyes
    chosen = None if own else _eyes("-".join(map(str, parts.values())), sheets.options("eyes"))
    return Scene(action, direction, **parts, eyes=chosen, phase=phase, background=background)


def _eyes(character: str, options: int) -> int | None:
    """The eyes of a character: half of all characters have those of their body."""
    choice = int(_fraction(f"eyes {character}") * 2 * options)
    return choice if choice < options else None


def _fraction(text: str) -> float:
    """Of a text, spread evenly over [0, 1), the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def draw_frames(sheets: Sheets, scene: Scene, num_frames: int) -> UInt8[np.ndarray, "frames 64 64 3"]:
    """The frames of a clip at the sheets' own size: the layers over the background, the cycle repeated."""
    period = ACTIONS[scene.action].period
    picture = np.empty((period, CELL, CELL, 3), np.float32)
    picture[:] = BACKGROUNDS[scene.background]
    for layer in LAYERS:
        option = getattr(scene, layer)
        if option is not None:
            cells = sheets.cycle(layer, scene.action, scene.direction)[option].astype(np.float32)
            picture += (cells[..., :3] - picture) * (cells[..., 3:] / 255)
    order = (scene.phase + np.arange(num_frames)) % period
    return picture.round().astype(np.uint8)[order]


def shows_eyes(sheets: Sheets, scene: Scene) -> bool:
    """Whether a layer of eyes can be seen in half of the cycle or more: not from behind, not below hair."""
    if scene.eyes is None:
        return False
    visible = np.zeros((ACTIONS[scene.action].period, CELL, CELL), bool)
    for layer in LAYERS:
        option = getattr(scene, layer)
        mask = sheets.cycle(layer, scene.action, scene.direction)[option][..., 3] >= OPAQUE
        visible = mask if layer == "eyes" else visible & ~mask
    return bool((visible.sum((1, 2)) >= _FEWEST_EYE_PIXELS).mean() >= 0.5)
