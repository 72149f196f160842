"""Captions of the embedded corpus: a scene in words, in several phrasings."""

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


def caption_of(scene: Scene, phrasing: int = 0) -> str:
    """The scene in words, lower case; phrasing 0 is the plain one to prompt with.

    Bits 0-1 of the phrasing choose the verb, bit 2 whether a texture is named, bit 3 the article. A camera
    that moves is always told, a still one never.
    """
    article = "the" if phrasing & 8 else _article(scene.colour)
    words = f"{article} {scene.colour} {scene.shape} {VERBS[scene.motion][phrasing % 4]}"
    if scene.bystander is not None:
        words += f" past a small {scene.bystander.colour} {scene.bystander.shape}"
    if phrasing & 4 and scene.background.texture != "plain":
        words += f" over a {scene.background.texture} background"
    if scene.camera != "still":
        words += f" while the camera {CAMERA_VERBS[scene.camera][phrasing % 2]}"
    return words


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
