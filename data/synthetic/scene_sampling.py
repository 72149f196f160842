"""Draw scenes at random: one of the combinations of colour, shape and motion, and all other parameters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from .caption_grammar import NUM_PHRASINGS
from .rendering import LOWEST, PERIODS
from .scene import (
    CAMERAS,
    COLOURS,
    HELD_OUT_PAIRS,
    LASTING_MOTIONS,
    SHAPES,
    TEXTURES,
    Background,
    Bystander,
    Scene,
)

FLOOR_MARGIN = 0.03
LEAST_ENERGY = 0.6  # that is left to a bounce under way

Place = tuple[float, float]


@dataclass(frozen=True)
class SceneDistribution:
    """How often scenes have what, and how far they differ.

    Args:
        textured: share of clips with a textured background.
        camera: share of the clips with a textured background whose camera moves (a plain one hides it).
        two_objects: share of clips with a second object at rest.
        tones: how far the backgrounds of clips differ in colour; 0 makes all of them the same dark grey.
        spread: share of their ranges that place, size, angle and speed of the objects take; 0 makes them the
            same in all clips of a motion.
        lasting: share of the clips that spin or bounce, so that they would stay in view; all combinations are
            equally likely if not given.
        underway: share of the spins and bounces that have been going on when the clip begins.

    Raises:
        ValueError: if one is not from 0 to 1.
    """

    textured: float = 0.5
    camera: float = 0.25
    two_objects: float = 0.0
    tones: float = 1.0
    spread: float = 1.0
    lasting: float | None = None
    underway: float = 0.0

    def __post_init__(self) -> None:
        for name, share in vars(self).items():
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} is {share}; expected a share from 0 to 1")


def sample_scene(
    random: np.random.Generator,
    combinations: Sequence[tuple[str, str, str]],
    half_sides: Place,
    scenes: SceneDistribution,
) -> Scene:
    """One of the combinations of colour, shape and motion, in a frame of these half width and height."""
    colour, shape, motion = _combination(random, combinations, scenes.lasting)
    background, camera, camera_amount = _surroundings(random, scenes)
    position, radius, angle, amount = _path(random, shape, motion, half_sides, scenes.spread)
    scene = Scene(
        colour=colour,
        shape=shape,
        motion=motion,
        camera=camera,
        background=background,
        position=position,
        radius=radius,
        angle=angle,
        amount=amount,
        impact=_within(random, 0.42, 0.65, scenes.spread),
        camera_amount=camera_amount,
        phrasing=int(random.integers(NUM_PHRASINGS)),
        bystander=_bystander(random, colour, half_sides) if random.random() < scenes.two_objects else None,
    )
    if scenes.underway > 0 and motion in LASTING_MOTIONS and random.random() < scenes.underway:
        return _under_way(random, scene)
    return scene


def _combination(
    random: np.random.Generator, combinations: Sequence[tuple[str, str, str]], lasting: float | None
) -> tuple[str, str, str]:
    if lasting is not None:
        lasts = random.random() < lasting
        combinations = [each for each in combinations if (each[2] in LASTING_MOTIONS) == lasts]
    return combinations[int(random.integers(len(combinations)))]


def _under_way(random: np.random.Generator, scene: Scene) -> Scene:
    """The same spin or bounce, begun long before the clip.

    A bounce has lost up to two fifths of its energy, but not of its gravity: half the energy is half the
    height, from which a fall takes a root of a half of the time.
    """
    if scene.motion == "spin":
        return replace(scene, angle=random.uniform(0, PERIODS[scene.shape]))
    energy = random.uniform(LEAST_ENERGY, 1)
    fall = scene.impact * energy**0.5
    first = random.uniform(0, min(2 * fall, 1))
    return replace(scene, amount=energy * scene.amount, impact=first, fall=fall)


def _surroundings(random: np.random.Generator, scenes: SceneDistribution) -> tuple[Background, str, float]:
    """Background, camera and amount of its motion."""
    has_texture, is_moving = random.random(2) < (scenes.textured, scenes.camera)
    name = CAMERAS[random.integers(1, len(CAMERAS))] if has_texture and is_moving else "still"
    amount = random.uniform(1.2, 1.28) if "zoom" in name else random.uniform(0.12, 0.16)
    texture = TEXTURES[random.integers(len(TEXTURES))] if has_texture else "plain"
    return _background(random, texture, scenes.tones), name, amount


def _path(
    random: np.random.Generator, shape: str, motion: str, half_sides: Place, spread: float
) -> tuple[Place, float, float, float]:
    """Position, radius, angle and amount of motion such that the object stays, nearly whole, in view."""
    radius, angle = _within(random, 0.2, 0.25, spread), _within(random, -0.12, 0.12, spread)
    match motion:
        case "grow" | "shrink":
            radius, amount = _within(random, 0.205, 0.225, spread), _within(random, 1.75, 2.0, spread)
        case "spin":
            amount = _within(random, 1.4, 2.1, spread) * (1 if random.random() < 0.5 else -1)
        case _:
            amount = _within(random, 0.42, 0.56, spread)
    x, y = ((half - 0.4) * _within(random, -1, 1, spread) for half in half_sides)
    if motion == "bounce":
        radius, angle, amount = _within(random, 0.19, 0.22, spread), 0.0, _within(random, 0.42, 0.5, spread)
        y = half_sides[1] - FLOOR_MARGIN - radius * LOWEST[shape]
    return (x, y), radius, angle, amount


def _within(random: np.random.Generator, low: float, high: float, spread: float) -> float:
    """Uniform over a share `spread` of the range, around its middle."""
    return (low + high) / 2 + spread * random.uniform(low - high, high - low) / 2


def _bystander(random: np.random.Generator, colour: str, half_sides: Place) -> Bystander:
    """A small object of another colour, near a corner; never a held-out pair of colour and shape."""
    pairs = [pair for pair in product(COLOURS, SHAPES) if pair not in HELD_OUT_PAIRS and pair[0] != colour]
    x, y = ((half - 0.15) * (1 if random.random() < 0.5 else -1) for half in half_sides)
    return Bystander(*pairs[random.integers(len(pairs))], (x, y), random.uniform(0.1, 0.12))


def _background(random: np.random.Generator, texture: str, tones: float) -> Background:
    """Dark and nearly grey, so that objects stand out; patterns are low in contrast and in frequency."""
    base = 44 + tones * (random.uniform(-14, 14) + random.uniform(-10, 10, 3))
    tint = random.uniform(13, 19) + random.uniform(-5, 5, 3)
    return Background(texture, tuple(base.tolist()), tuple(tint.tolist()), _waves(random, texture))


def _waves(random: np.random.Generator, texture: str) -> tuple[tuple[float, float, float, float], ...]:
    """Plane waves of a texture. None runs along the horizontal, so that every pan can be seen."""
    wavelength, turn = random.uniform(0.24, 0.36), random.uniform(-0.7, 0.7)
    match texture:
        case "plain":
            waves = []
        case "striped":
            waves = [(wavelength, turn, 1.0)]
        case "checked":
            waves = [(wavelength, turn + side * np.pi / 4, 0.7) for side in (-1, 1)]
        case "dotted":
            waves = [(wavelength, turn + side * np.pi / 3, 0.6) for side in (-1, 0, 1)]
        case _:  # cloudy
            waves = [(random.uniform(0.3, 0.8), random.uniform(0, np.pi), 0.55) for _ in range(5)]
    return tuple(
        (
            2 * np.pi / length * np.cos(angle).item(),
            2 * np.pi / length * np.sin(angle).item(),
            random.uniform(0, 2 * np.pi),
            amplitude,
        )
        for length, angle, amplitude in waves
    )
