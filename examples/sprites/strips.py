"""The twenty strips of a character, one for each action and direction, generated and cut out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from videolm.data.codes.clip_format import ClipFormat
from videolm.data.media.clip import Clip
from videolm.data.runtime.progress import progress
from videolm.generation.prompt import Prompt

from .attribute_reader import AttributeReader, Reading
from .cycle import Cells, Cycle, best_cycle, first_frames
from .description import Character
from .ground import cut_out, native_frames
from .likeness import Look, Try, choose, look_of
from .scenes import KEYS
from .sheets import ACTIONS, CELL, DIRECTIONS, RATE

TASK = "text_to_video"
POSES = [(action, direction) for action in ACTIONS for direction in DIRECTIONS]


@runtime_checkable
class ClipMaker(Protocol):
    """What is asked of a model, as `VideoLM` does it."""

    @property
    def clips(self) -> ClipFormat: ...

    def generate_batch(
        self, task: str, prompts: Sequence[Prompt], *, seed: list[int], progress: Callable[[float], None]
    ) -> list[Clip]: ...


@dataclass(frozen=True, eq=False)
class Strip:
    """One action seen from one direction.

    Args:
        cells: the figures of its cycle, as they follow one another in the clip.
        reading: what was read off the clip, if it was.
        first: the cell with which the row of a sheet begins.
        begins: by what that is known.
    """

    action: str
    direction: str
    prompt: str
    seed: int
    cycle: Cycle
    cells: Cells
    look: Look
    reading: Reading | None
    first: int = 0
    begins: str = "window"

    @property
    def row(self) -> Cells:
        """The cells in the order of a sheet."""
        return np.roll(self.cells, -self.first, axis=0)


def make_strips(
    model: ClipMaker, character: Character, reader: AttributeReader | None, seed: int, tries: int
) -> list[Strip]:
    """The best strip of each of POSES.

    All clips of a try have one seed: then what no prompt says, such as the ground, is likelier alike in them.

    Raises:
        ValueError: if the model's clips are not such as `render` makes.
    """
    check_format(model.clips)
    poses = [pose for pose in POSES for _ in range(tries)]
    texts = [character.prompt(*pose) for pose in poses]
    seeds = [seed + number for _ in POSES for number in range(tries)]
    with progress("generating", len(texts)) as report:
        prompts = [Prompt(text=text) for text in texts]
        clips = model.generate_batch(TASK, prompts, seed=seeds, progress=report)
    strips = []
    with progress("cutting out", len(clips)) as report:
        for pose, text, own, clip in zip(poses, texts, seeds, clips, strict=True):
            strips.append(_strip(*pose, text, own, clip, reader))
            report(len(strips))
    groups = [strips[start : start + tries] for start in range(0, len(strips), tries)]
    chosen = choose([[_judged(strip, character) for strip in group] for group in groups])
    return _begun([group[index] for group, index in zip(groups, chosen, strict=True)])


def check_format(clips: ClipFormat) -> None:
    """Refuse a model whose clips hold no whole figure, or no whole cycle.

    Raises:
        ValueError: with what is expected.
    """
    longest = max(action.period for action in ACTIONS.values())
    is_scaled = clips.height == clips.width and clips.height % CELL == 0
    if not is_scaled or clips.fps != RATE or clips.num_frames < longest:
        raise ValueError(
            f"the model makes clips of {clips.num_frames} frames of {clips.width}x{clips.height} at "
            f"{clips.fps:g} a second; expected at least {longest} of {CELL}x{CELL}, or a multiple, at {RATE}"
        )


def _strip(
    action: str, direction: str, prompt: str, seed: int, clip: Clip, reader: AttributeReader | None
) -> Strip:
    pixels = clip.frames.numpy()
    frames = native_frames(pixels)
    cycle = best_cycle(frames, ACTIONS[action].period)
    cells = cut_out(frames[cycle.frames()])
    reading = None if reader is None else reader.read(pixels)
    return Strip(action, direction, prompt, seed, cycle, cells, look_of(cells), reading)


def _judged(strip: Strip, character: Character) -> Try:
    asked = {**character.parts, "action": strip.action, "direction": strip.direction}
    read = strip.reading.attributes if strip.reading else {}
    return Try(strip.look, strip.cycle.closes, sum(read.get(key) == asked[key] for key in KEYS))


def _begun(strips: list[Strip]) -> list[Strip]:
    """Each with the cell that its row begins with: as it is read, else by how cells differ from the figure
    standing, if that tells, else where its window begins."""
    found = {}
    for direction in DIRECTIONS:
        cycles = {each.action: each.cells for each in strips if each.direction == direction}
        for action, first in first_frames(cycles, direction).items():
            found[action, direction] = first
    begun = []
    for strip in strips:
        if (phase := _phase(strip)) is not None:
            first, begins = -(phase + strip.cycle.start) % strip.cycle.period, "reading"
        elif (strip.action, strip.direction) in found:
            first, begins = found[strip.action, strip.direction], "standing"
        else:
            first, begins = 0, "window"
        begun.append(replace(strip, first=first, begins=begins))
    return begun


def _phase(strip: Strip) -> int | None:
    """The frame of the cycle with which the clip begins, if action and direction are read as asked."""
    if strip.reading is None:
        return None
    shown = (strip.reading.attributes["action"], strip.reading.attributes["direction"])
    return strip.reading.phase if shown == (strip.action, strip.direction) else None
