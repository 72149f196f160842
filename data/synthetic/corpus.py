"""The embedded corpus: endless seeded clips of coloured shapes that move, with captions and sound.

`Corpus()[index]` is a pure function of the settings and the index, so any number of workers can share it
and a clip never has to be stored. What a clip shows is a `Scene` (scene.py), told by caption_grammar.py;
rendering.py and sonification.py make its pixels, flow, depth and sound; describing.py reads it back.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ..media.clip import Clip
from ..sources.selection import ClipSelection
from .caption_grammar import caption_of, written_caption
from .rendering import render_depth, render_flow, render_frames
from .scene import Scene, combinations
from .scene_sampling import SceneDistribution, sample_scene
from .sonification import render_sound

# The embedded corpora and their scenes. "synthetic-plain" is for models that are trained in minutes: most of
# their time would go into the codes of textures, tones and places, which captions do not tell.
# "synthetic-lasting" is for models that go on with a video for longer than a clip.
_PLAIN = SceneDistribution(textured=0.0, camera=0.0, tones=0.0, spread=0.3)
_WRITTEN = 2  # captions of a clip in other forms, beside the plain one
CORPORA = {
    "synthetic": SceneDistribution(),
    "synthetic-plain": _PLAIN,
    "synthetic-lasting": replace(_PLAIN, lasting=0.5, underway=0.5),
}


class Corpus:
    """Endless clips, each a pure function of the settings and its index.

    Args:
        sample_rate: of the mono sound; None for silent clips.
        scenes: what they show, how often.
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
        scenes: SceneDistribution = CORPORA["synthetic"],
        split: str = "train",
        seed: int = 0,
    ) -> None:
        sizes = {"height": height, "width": width, "num_frames": num_frames, "fps": fps}
        for name, value in sizes.items():
            if value <= 0:
                raise ValueError(f"{name} is {value}; expected a positive number")
        if seed < 0:
            raise ValueError(f"seed is {seed}; expected a number from 0")
        self.height, self.width, self.num_frames, self.fps = height, width, num_frames, fps
        self.sample_rate, self.seed = sample_rate, seed
        self.scenes, self.combinations = scenes, combinations(split)
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

    def captions(self, index: int) -> tuple[str, ...]:
        """What clip `index` shows: told plainly as in the clip, then in two written forms of its own."""
        scene = self.scene(index)
        forms = range(_WRITTEN * index, _WRITTEN * (index + 1))
        return caption_of(scene, scene.phrasing), *(written_caption(scene, form) for form in forms)

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
        return sample_scene(random, self.combinations, self.half_sides, self.scenes)

    def flow(self, scene: Scene) -> Float[Tensor, "frames 2 height width"]:
        """Optical flow in pixels, see `render_flow`."""
        return render_flow(scene, self.height, self.width, self.num_frames)

    def depth(self, scene: Scene) -> Float[Tensor, "frames height width"]:
        """Distance from the camera, see `render_depth`."""
        return render_depth(scene, self.height, self.width, self.num_frames)


def corpus_scenes(source: str) -> SceneDistribution:
    """The scenes of the embedded corpus of this name.

    Raises:
        ValueError: if there is none.
    """
    if source not in CORPORA:
        raise ValueError(f"there is no embedded corpus {source!r}; there is {', '.join(CORPORA)}")
    return CORPORA[source]


def is_corpus(source: str, where: Mapping[str, str]) -> bool:
    """Whether a source is an embedded corpus rather than files.

    Raises:
        ValueError: if it is one and entries are to be selected from it.
    """
    if source in CORPORA and where:
        raise ValueError("where selects entries of a folder or list; the embedded corpus has none")
    return source in CORPORA


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
        scenes=corpus_scenes(selection.source),
        split=selection.split,
        seed=selection.seed,
    )
