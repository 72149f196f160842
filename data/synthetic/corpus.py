"""The embedded corpus: endless seeded clips of coloured shapes that move, with captions and sound.

`Corpus()[index]` is a pure function of the settings and the index, so any number of workers can share it
and a clip never has to be stored. What a clip shows is a `Scene` (scene.py), told by captions.py;
rendering.py and sonification.py make its pixels, flow, depth and sound; describing.py reads it back.
"""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ..media.clip import Clip
from ..sources.selection import ClipSelection
from .caption_grammar import caption_of
from .rendering import render_depth, render_flow, render_frames
from .scene import (
    CAMERAS,
    COLOURS,
    HELD_OUT_PAIRS,
    LASTING_MOTIONS,
    MOTIONS,
    PITCH_OF_COLOUR,
    PITCHES,
    SHAPES,
    SPLITS,
    Scene,
    combinations,
    is_held_out,
    split_of,
)
from .scene_sampling import sample_scene
from .sonification import click_times, render_sound

__all__ = [
    "CAMERAS",
    "COLOURS",
    "CORPORA",
    "HELD_OUT_PAIRS",
    "MOTIONS",
    "PITCHES",
    "PITCH_OF_COLOUR",
    "SHAPES",
    "SPLITS",
    "Corpus",
    "Scene",
    "caption_of",
    "click_times",
    "corpus_of",
    "corpus_settings",
    "is_held_out",
    "split_of",
]

# Sources of this kind, and the settings by which each differs from `Corpus`. "synthetic-plain" is for models
# that are trained in minutes: most of their time would go into the codes of textures, tones and places, which
# captions do not tell. "synthetic-lasting" is for models that go on with a video for longer than a clip.
PLAIN = {"textured": 0.0, "camera": 0.0, "tones": 0.0, "spread": 0.3}
CORPORA: dict[str, dict[str, float]] = {
    "synthetic": {},
    "synthetic-plain": PLAIN,
    "synthetic-lasting": PLAIN | {"lasting": 0.5, "underway": 0.5},
}


def corpus_settings(source: str) -> dict[str, float]:
    """How the embedded corpus of this name differs from `Corpus`.

    Raises:
        ValueError: if there is none of this name.
    """
    if source not in CORPORA:
        raise ValueError(f"there is no embedded corpus {source!r}; there is {', '.join(CORPORA)}")
    return dict(CORPORA[source])


class Corpus:
    """Endless clips, each a pure function of the settings and its index.

    Args:
        sample_rate: of the mono sound; None for silent clips.
        textured: share of clips with a textured background.
        camera: share of the clips with a textured background whose camera moves (a plain one hides it).
        two_objects: share of clips with a second object at rest.
        tones: how far the backgrounds of clips differ in colour; 0 makes all of them the same dark grey.
        spread: share of their ranges that place, size, angle and speed of the objects take; 0 makes them the
            same in all clips of a motion.
        lasting: share of the clips that spin or bounce, so that they would stay in view; all combinations are
            equally likely if not given.
        underway: share of the spins and bounces that have been going on when the clip begins.
        split: which combinations of colour, shape and motion appear: "train", "triples" (held-out ones of
            pairs that training does show), "pairs" (colour-shape pairs that it never shows) or "all".

    Raises:
        ValueError: for settings that make no clip.
    """

    def __init__(
        self,
        *,
        height: int = 64,
        width: int = 64,
        num_frames: int = 9,
        fps: float = 8.0,
        sample_rate: int | None = 16000,
        textured: float = 0.5,
        camera: float = 0.25,
        two_objects: float = 0.0,
        tones: float = 1.0,
        spread: float = 1.0,
        lasting: float | None = None,
        underway: float = 0.0,
        split: str = "train",
        seed: int = 0,
    ) -> None:
        sizes = {"height": height, "width": width, "num_frames": num_frames, "fps": fps}
        for name, value in sizes.items():
            if value <= 0:
                raise ValueError(f"{name} is {value}; expected a positive number")
        shares = {"textured": textured, "camera": camera, "two_objects": two_objects}
        shares |= {"tones": tones, "spread": spread, "underway": underway}
        if lasting is not None:
            shares["lasting"] = lasting
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is {share}; expected a share from 0 to 1")
        if seed < 0:
            raise ValueError(f"seed is {seed}; expected a number from 0")
        self.height, self.width, self.num_frames, self.fps = height, width, num_frames, fps
        self.sample_rate, self.seed = sample_rate, seed
        self.textured, self.camera, self.two_objects = textured, camera, two_objects
        self.tones, self.spread, self.underway = tones, spread, underway
        self.lasting, self.combinations = lasting, combinations(split)
        self.half_sides = (width / min(height, width) / 2, height / min(height, width) / 2)

    def __getitem__(self, index: int) -> Clip:
        scene = self.scene(index)
        return Clip(
            frames=render_frames(scene, self.height, self.width, self.num_frames),
            fps=self.fps,
            waveform=self._sound(scene),
            sample_rate=self.sample_rate,
            caption=caption_of(scene, scene.phrasing),
        )

    def _sound(self, scene: Scene) -> Float[Tensor, "1 samples"] | None:
        if self.sample_rate is None:
            return None
        return render_sound(scene, self.num_frames, self.fps, self.sample_rate)

    def scene(self, index: int) -> Scene:
        """What clip `index` shows.

        Raises:
            IndexError: if the index is negative; there is no last clip to count from.
        """
        if index < 0:
            raise IndexError(f"clip {index}: the corpus is endless; count from 0")
        random = np.random.default_rng((self.seed, index))
        shares = self.textured, self.camera, self.two_objects
        ranges = self.tones, self.spread, self.underway
        return sample_scene(random, self._possible(random), self.half_sides, *shares, *ranges)

    def _possible(self, random: np.random.Generator) -> tuple[tuple[str, str, str], ...]:
        """The combinations that the next clip is one of."""
        if self.lasting is None:
            return self.combinations
        lasts = random.random() < self.lasting
        return tuple(each for each in self.combinations if (each[2] in LASTING_MOTIONS) == lasts)

    def flow(self, scene: Scene) -> Float[Tensor, "frames 2 height width"]:
        """Optical flow in pixels, see `render_flow`."""
        return render_flow(scene, self.height, self.width, self.num_frames)

    def depth(self, scene: Scene) -> Float[Tensor, "frames height width"]:
        """Distance from the camera, see `render_depth`."""
        return render_depth(scene, self.height, self.width, self.num_frames)


def corpus_of(selection: ClipSelection, sample_rate: int | None) -> Corpus:
    """The embedded corpus that a selection names, endless: `selection.clips` of it are meant.

    Raises:
        ValueError: if its source is none.
    """
    return Corpus(
        height=selection.height,
        width=selection.width,
        num_frames=selection.num_frames,
        fps=selection.fps,
        sample_rate=sample_rate,
        split=selection.split,
        seed=selection.seed,
        **corpus_settings(selection.source),
    )
