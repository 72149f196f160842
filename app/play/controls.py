"""Keys for the actions of a world, from the action space that its model stores.

A control sets one dimension of the action while all of its keys are held; where several would, the one of
most keys does, so that two arrows are UPRIGHT. A dimension of which no key is held rests: it does what a
choice like NOOP says, or what is nearest to zero. Keys are

    of left, right, up, forward, down, back, fire and what is made of these (UPLEFTFIRE)    arrows and space
    of a range                              arrows for its two ends, and a letter for its middle
    of any other name                       its first letter that is free, else another letter or a digit
"""

import re
from dataclasses import dataclass

import torch

from ...data.environments.action_space import ActionDimension, ActionSpace

RESET = "r"
_ARROWS = {
    "left": "ArrowLeft", "right": "ArrowRight", "up": "ArrowUp", "forward": "ArrowUp", "down": "ArrowDown",
    "backward": "ArrowDown", "back": "ArrowDown", "fire": " ",
}  # fmt: skip
_WORD = re.compile("|".join(_ARROWS))
_WORDS = re.compile(f"(?:(?:{_WORD.pattern})[ _-]?)+")
_RESTING = ("noop", "no-op", "no_op", "nothing", "none", "stay", "wait", "idle")
_LETTERS = "abcdefghijklmnopqrstuvwxyz1234567890"
_MOST_CONTROLS = 128


@dataclass(frozen=True)
class Control:
    """One choice of a dimension.

    Args:
        keys: as browsers name them; none if there are no free ones.
        label: what it does.
        dimension: number of it.
        code: that the dimension takes.
    """

    keys: tuple[str, ...]
    label: str
    dimension: int
    code: int


@dataclass(frozen=True)
class Controls:
    """All keys of a world.

    Args:
        controls: in the order of the dimensions.
        rest: the code of each dimension when none of its keys is held; None where it must be chosen.
    """

    controls: tuple[Control, ...]
    rest: tuple[int | None, ...]


def controls_of(space: ActionSpace) -> Controls:
    """Keys for an action space; choices beyond the first 128 have none."""
    keys = _Keys()
    found: list[Control] = []
    for number, dimension in enumerate(space.dimensions):
        of_kind = _choices if dimension.is_discrete else _ends
        found += of_kind(dimension, number, keys)[: _MOST_CONTROLS - len(found)]
    rest = tuple(_rest(each, alone=len(space) == 1) for each in space.dimensions)
    return Controls(tuple(found), rest)


class _Keys:
    """Which keys are taken; a key belongs to one dimension."""

    def __init__(self) -> None:
        self.owners, self.sets = {RESET: -1}, set[tuple[str, ...]]()

    def take(self, dimension: int, keys: tuple[str, ...]) -> tuple[str, ...]:
        """These keys together, if they are free; else none."""
        wanted = tuple(sorted(set(keys)))
        others = [key for key in wanted if self.owners.get(key, dimension) != dimension]
        if not wanted or others or wanted in self.sets:
            return ()
        self.sets.add(wanted)
        self.owners |= dict.fromkeys(wanted, dimension)
        return wanted

    def take_letter(self, dimension: int, name: str) -> tuple[str, ...]:
        """A letter, of the name if one is free."""
        wanted = [each for each in name.lower() if each in _LETTERS] + list(_LETTERS)
        return next((taken for each in wanted if (taken := self.take(dimension, (each,)))), ())


def _choices(dimension: ActionDimension, number: int, keys: _Keys) -> list[Control]:
    names = dimension.names or tuple(map(str, range(min(dimension.choices, _MOST_CONTROLS))))
    names = names[:_MOST_CONTROLS]
    taken = [keys.take(number, _arrows(name)) for name in names]
    taken = [each or keys.take_letter(number, name) for each, name in zip(taken, names, strict=True)]
    label = "" if dimension.names else f"{dimension.name} "
    return [
        Control(own, label + name, number, code)
        for code, (name, own) in enumerate(zip(names, taken, strict=True))
    ]


def _arrows(name: str) -> tuple[str, ...]:
    is_of_arrows = _WORDS.fullmatch(name.lower()) is not None
    return tuple(_ARROWS[word] for word in _WORD.findall(name.lower())) if is_of_arrows else ()


def _ends(dimension: ActionDimension, number: int, keys: _Keys) -> list[Control]:
    """The two ends and the middle of a range; the keys of the ends lie opposite each other."""
    last, middle, rest = dimension.bins - 1, dimension.bins // 2, _rest(dimension)
    pairs = [("ArrowLeft", "ArrowRight"), ("ArrowDown", "ArrowUp")]
    if rest in (0, last):  # of one direction, as the gas of a car
        pairs = [("", "ArrowUp"), ("", "ArrowDown")] if rest == 0 else [("ArrowDown", ""), ("ArrowUp", "")]
    wanted = dict.fromkeys((0, middle, last), ())
    for low, high in pairs:
        free = [keys.take(number, (key,)) if key else () for key in (low, high)]
        if any(free):
            wanted |= {0: free[0]} if last == 0 else {0: free[0], last: free[1]}
            break
    values = dimension.values(torch.tensor(list(wanted))).tolist()
    return [
        Control(own or keys.take_letter(number, dimension.name), f"{dimension.name} {value:g}", number, code)
        for (code, own), value in zip(wanted.items(), values, strict=True)
    ]


def _rest(dimension: ActionDimension, alone: bool = False) -> int | None:
    """What a dimension does when no key is held: nothing, if it has a word for that; of several dimensions
    the first choice, which by custom is nothing. A single one has to be chosen."""
    if not dimension.is_discrete:
        return dimension.code(min(max(0.0, dimension.low), dimension.high))
    resting = [code for code, name in enumerate(dimension.names) if name.lower() in _RESTING]
    return resting[0] if resting else None if alone else 0
