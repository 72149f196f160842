"""The scene of a clip of the embedded corpus: its parameters, and which combinations are held out.

Lengths are in units of the frame's shorter side, with the origin in the middle of the frame, x to the
right and y down. Time is the phase u: 0 at the first frame and 1 at the last, whatever their number and fps.
"""

from dataclasses import dataclass
from functools import cache
from math import floor

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (228, 34, 46),
    "orange": (255, 138, 12),
    "yellow": (250, 228, 62),
    "green": (38, 176, 66),
    "cyan": (52, 218, 226),
    "blue": (42, 82, 236),
    "purple": (142, 48, 204),
    "pink": (255, 128, 200),
}
SHAPES = ("circle", "square", "triangle", "star", "cross")
MOTIONS = ("left", "right", "up", "down", "grow", "shrink", "spin", "bounce")
LASTING_MOTIONS = ("spin", "bounce")  # keep an object in view for ever
CAMERAS = ("still", "pan left", "pan right", "zoom in", "zoom out")
TEXTURES = ("striped", "checked", "dotted", "cloudy")
# Stacked thirds: three semitones apart at the least, and no note is the second or third harmonic of another.
PITCHES: dict[str, float] = {
    "a3": 220.0,
    "c4": 261.63,
    "e4": 329.63,
    "g4": 392.0,
    "b4": 493.88,
    "d5": 587.33,
    "f#5": 739.99,
    "a5": 880.0,
}
PITCH_OF_COLOUR: dict[str, str] = dict(zip(COLOURS, PITCHES, strict=True))

SPLITS = ("train", "triples", "pairs", "all")
HELD_OUT_PAIRS = (("blue", "triangle"), ("orange", "cross"))


@dataclass(frozen=True)
class Background:
    """A dark colour, plain or with a pattern: a sum of plane waves that are fixed in the scene.

    Args:
        texture: "plain" or one of TEXTURES.
        base: mean colour, RGB 0..255.
        tint: change of colour at the crest of a wave of amplitude 1.
        waves: (radians per unit along x, along y, phase, amplitude) of each wave.
    """

    texture: str
    base: tuple[float, float, float]
    tint: tuple[float, float, float]
    waves: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True)
class Bystander:
    """A second, smaller object that rests in the scene behind the first."""

    colour: str
    shape: str
    position: tuple[float, float]
    radius: float


@dataclass(frozen=True)
class Scene:
    """All parameters of one clip.

    The motion is the object's own, relative to the scene; the camera moves object and background alike. The
    camera's share is kept so small that the motion seen on screen never has another name.

    Args:
        position: the object's centre at u = 1/2 (for a bounce: where it touches the floor).
        radius: of the circle of about the same area (for grow and shrink: at u = 1/2).
        angle: of the object at u = 0, radians clockwise.
        amount: of motion over the clip: length travelled; for grow and shrink the larger over the smaller
            radius; for spin the angle turned, negative if counter-clockwise; for bounce the height fallen.
        impact: phase at which a bouncing object first touches the floor. It begins at rest at the top and
            loses speed there, unless it bounces already.
        fall: of an object that bounces already when the clip begins, and goes on without loss: how much phase
            one fall takes, half the time from impact to impact. None for all other motions.
        camera_amount: length panned or ratio zoomed over the clip.
        phrasing: which wording of the caption the corpus uses.
    """

    colour: str
    shape: str
    motion: str
    camera: str
    background: Background
    position: tuple[float, float]
    radius: float
    angle: float
    amount: float
    impact: float
    camera_amount: float
    phrasing: int = 0
    bystander: Bystander | None = None
    fall: float | None = None

    @property
    def impacts(self) -> tuple[float, ...]:
        """All phases of the clip at which a bouncing object touches the floor.

        One that loses speed at the first impact rises too long to come down once more (2.7 times the first).
        """
        if self.motion != "bounce":
            return ()
        if self.fall is None:
            return (self.impact,)
        further = floor((1 - self.impact) / (2 * self.fall))
        return tuple(self.impact + 2 * self.fall * number for number in range(further + 1))

    @property
    def pitch(self) -> str:
        """Name of the note that sounds."""
        return PITCH_OF_COLOUR[self.colour]


def split_of(colour: str, shape: str, motion: str) -> str:
    """The one split that shows this combination: "train", "triples" or "pairs".

    The rule is a Latin square: along each of the three axes at most one value in five is held out, so every
    colour-motion and shape-motion pair, and every colour-shape pair except HELD_OUT_PAIRS, is trained on.
    """
    if (colour, shape) in HELD_OUT_PAIRS:
        return "pairs"
    place = tuple(COLOURS).index(colour) + 2 * SHAPES.index(shape) + 3 * MOTIONS.index(motion)
    return "triples" if place % 10 == 7 else "train"


def is_held_out(scene: Scene) -> bool:
    """Whether training never shows this combination of colour, shape and motion."""
    return split_of(scene.colour, scene.shape, scene.motion) != "train"


@cache
def combinations(split: str) -> tuple[tuple[str, str, str], ...]:
    """Every (colour, shape, motion) of a split. A circle is never spun: nobody could see it.

    Raises:
        ValueError: if there is no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; expected one of {', '.join(SPLITS)}")
    return tuple(
        (colour, shape, motion)
        for colour in COLOURS
        for shape in SHAPES
        for motion in MOTIONS
        if (shape, motion) != ("circle", "spin") and split in ("all", split_of(colour, shape, motion))
    )
