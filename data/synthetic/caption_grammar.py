"""Captions of the embedded corpus: a scene in words, told plainly in several phrasings, or as people write.

    phrasing 0      a red square moves right
    phrasing 7      a red square goes to the right over a striped background
    a written form  Moving to the right: red square, 4k, high quality.

`caption_of` gives the plain captions, with which models are prompted and examined; `written_caption` gives
those that are trained on beside them, so that a prompt may say the same in other ways.
"""

import numpy as np

from ..sources.caption_variation import as_written
from .scene import Scene

VERBS = {
    "left": ("moves left", "is moving to the left", "slides left", "goes to the left"),
    "right": ("moves right", "is moving to the right", "slides right", "goes to the right"),
    "up": ("moves up", "is moving upwards", "slides up", "rises"),
    "down": ("moves down", "is moving downwards", "slides down", "sinks"),
    "grow": ("grows", "is growing", "gets bigger", "becomes larger"),
    "shrink": ("shrinks", "is shrinking", "gets smaller", "becomes tinier"),
    "spin": ("spins", "is spinning", "rotates", "turns around"),
    "bounce": ("bounces", "is bouncing", "falls and bounces", "bounces off the floor"),
}
CAMERA_VERBS = {
    "pan left": ("pans left", "is panning to the left"),
    "pan right": ("pans right", "is panning to the right"),
    "zoom in": ("zooms in", "is zooming in"),
    "zoom out": ("zooms out", "is zooming out"),
}
NUM_PHRASINGS = 16

# Further words of written captions: "a red square that … ", "… : a red square", "make a red square …".
MORE_VERBS = {
    "left": ("goes left", "moves leftwards", "goes from right to left", "moves from right to left"),
    "right": ("goes right", "moves rightwards", "goes from left to right", "moves from left to right"),
    "up": ("goes up", "moves upwards", "moves from bottom to top"),
    "down": ("goes down", "moves downwards", "moves from top to bottom"),
    "grow": ("gets larger", "grows in size"),
    "shrink": ("becomes smaller", "shrinks in size"),
    "spin": ("is rotating", "spins in place"),
    "bounce": ("falls and then bounces", "bounces up and down"),
}
PARTICIPLES = {
    "left": (
        "moving left", "moving to the left", "sliding left", "going left", "moving from right to left",
        "going from right to left",
    ),
    "right": (
        "moving right", "moving to the right", "sliding right", "going right", "moving from left to right",
        "going from left to right",
    ),
    "up": ("moving up", "moving upwards", "sliding up", "rising", "going up"),
    "down": ("moving down", "moving downwards", "sliding down", "sinking", "going down"),
    "grow": ("growing", "getting bigger", "becoming larger", "growing in size"),
    "shrink": ("shrinking", "getting smaller", "becoming tinier", "shrinking in size"),
    "spin": ("spinning", "rotating", "turning around", "spinning in place"),
    "bounce": ("bouncing", "falling and bouncing", "bouncing off the floor", "bouncing up and down"),
}  # fmt: skip
INFINITIVES = {
    "left": ("move left", "move to the left", "slide left", "move from right to left"),
    "right": ("move right", "move to the right", "slide right", "move from left to right"),
    "up": ("move up", "move upwards", "slide up", "rise"),
    "down": ("move down", "move downwards", "slide down", "sink"),
    "grow": ("grow", "get bigger", "become larger"),
    "shrink": ("shrink", "get smaller", "become tinier"),
    "spin": ("spin", "rotate", "turn around"),
    "bounce": ("bounce", "fall and bounce", "bounce up and down"),
}
CAMERA_PARTICIPLES = {
    "pan left": ("panning left", "panning to the left"),
    "pan right": ("panning right", "panning to the right"),
    "zoom in": ("zooming in",),
    "zoom out": ("zooming out",),
}
# All that says a motion of the object or of the camera.
MOTION_PHRASES = {
    motion: VERBS[motion] + MORE_VERBS[motion] + PARTICIPLES[motion] + INFINITIVES[motion] for motion in VERBS
}
CAMERA_PHRASES = {
    name: tuple(f"camera {verb}" for verb in CAMERA_VERBS[name] + CAMERA_PARTICIPLES[name])
    for name in CAMERA_VERBS
}
_WRITTEN = 71  # first word of the seeds of written captions


def caption_of(scene: Scene, phrasing: int = 0) -> str:
    """The scene in words, lower case; phrasing 0 is the plain one to prompt with.

    Bits 0-1 of the phrasing choose the verb, bit 2 whether a texture is named, bit 3 the article. A camera
    that moves is always told, a still one never.
    """
    article = "the" if phrasing & 8 else _article(scene.colour)
    words = f"{article} {scene.colour} {scene.shape} {VERBS[scene.motion][phrasing % 4]}"
    words += _past(scene)
    if phrasing & 4 and scene.background.texture != "plain":
        words += f" over a {scene.background.texture} background"
    if scene.camera != "still":
        words += f" while the camera {CAMERA_VERBS[scene.camera][phrasing % 2]}"
    return words


def written_caption(scene: Scene, form: int) -> str:
    """The scene as somebody might type it: in other words, order, case and signs, with lead-ins and tails.

    Colour, shape, motion and a camera that moves are told always, as in `caption_of`.

    Args:
        form: a number from 0; the same one is the same way to draw, whatever the scene.
    """
    random = np.random.default_rng((_WRITTEN, form))
    return as_written(_FRAMES[random.integers(len(_FRAMES))](scene, random), random)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _past(scene: Scene) -> str:
    other = scene.bystander
    return "" if other is None else f" past a small {other.colour} {other.shape}"


def _told(scene: Scene, random: np.random.Generator) -> str:
    verb = _choice(random, VERBS[scene.motion] + MORE_VERBS[scene.motion])
    return f"{_subject(scene, random)} {verb}{_rest(scene, random)}"


def _going_on(scene: Scene, random: np.random.Generator) -> str:
    comma = _choice(random, ("", "", ","))
    return f"{_subject(scene, random)}{comma} {_doing(scene, random)}{_rest(scene, random)}"


def _doing_first(scene: Scene, random: np.random.Generator) -> str:
    joint = _choice(random, (": ", ", ", " - "))
    return f"{_doing(scene, random)}{joint}{_subject(scene, random)}{_rest(scene, random)}"


def _there_is(scene: Scene, random: np.random.Generator) -> str:
    verb = f"{_choice(random, ('that', 'which'))} {_choice(random, VERBS[scene.motion])}"
    doing = _choice(random, (verb, _doing(scene, random)))
    return f"there is {_article(scene.colour)} {scene.colour} {scene.shape} {doing}{_rest(scene, random)}"


def _first_the_object(scene: Scene, random: np.random.Generator) -> str:
    # "and" and "then" stand beside every motion, lest they be read as a part of "falls and then bounces".
    joint = _choice(random, (". it", ". it", " and it", ", and it", ", then it"))
    verb = _choice(random, VERBS[scene.motion] + MORE_VERBS[scene.motion])
    return f"{_subject(scene, random)}{joint} {verb}{_rest(scene, random)}"


def _wish(scene: Scene, random: np.random.Generator) -> str:
    verb = _choice(random, INFINITIVES[scene.motion])
    wished = _choice(random, ("make {} {}", "{} should {}", "let {} {}"))
    return wished.format(_subject(scene, random), verb) + _rest(scene, random)


def _keywords(scene: Scene, random: np.random.Generator) -> str:
    words = [f"{scene.colour} {scene.shape}", _doing(scene, random)]
    if scene.bystander is not None:
        words.append(_past(scene).strip())
    if scene.camera != "still":
        words.append(f"camera {_choice(random, CAMERA_PARTICIPLES[scene.camera])}")
    if random.random() < 0.5:
        words.append(f"{scene.background.texture} background")
    return ", ".join(words[index] for index in random.permutation(len(words)))


# The first two are how most people write.
_FRAMES = (
    _told, _told, _going_on, _going_on, _doing_first, _there_is, _first_the_object, _wish, _keywords,
    _keywords,
)  # fmt: skip


def _subject(scene: Scene, random: np.random.Generator) -> str:
    """The object with an article, or without one, as in a list of words."""
    article = _choice(random, (_article(scene.colour), _article(scene.colour), "the", "one", ""))
    return f"{article} {scene.colour} {scene.shape}".strip()


def _doing(scene: Scene, random: np.random.Generator) -> str:
    return _choice(random, PARTICIPLES[scene.motion])


def _rest(scene: Scene, random: np.random.Generator) -> str:
    """What else is told: a bystander and a camera that moves always, the background at times."""
    words, texture = _past(scene), scene.background.texture
    if random.random() < 0.3:
        words += f" {_choice(random, ('over', 'on'))} a {texture} background"
    if scene.camera != "still":
        verb = _choice(random, CAMERA_VERBS[scene.camera])
        words += f"{_choice(random, (' while the', ', the'))} camera {verb}"
    return words


def _choice(random: np.random.Generator, values: tuple[str, ...]) -> str:
    return values[random.integers(len(values))]
