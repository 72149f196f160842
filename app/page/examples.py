"""Examples for each task, rendered by the embedded corpus: for models that learnt from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...data.media.clip import Clip
from ...data.synthetic.corpus import Corpus, corpus_scenes
from ...evaluation.protocols.shapes_all import ALL_PROBES
from ...generation.pipeline import VideoLM

_SUFFIXES = {"image": ".png", "video": ".mp4", "audio": ".wav"}
COUNT = 24  # after which they begin anew


@dataclass(frozen=True)
class Example:
    """What fills the form.

    Args:
        files: by what they are of the prompt.
    """

    text: str | None
    files: Mapping[str, Path]


class Examples:
    """Examples of held-out clips: training never showed their combination of colour, shape and motion.

    Args:
        folder: for their files, each written when it is first asked for.
    """

    def __init__(self, model: VideoLM, folder: Path):
        self.model, self.folder = model, folder
        clips = model.clips
        self.corpus = Corpus(
            height=clips.height,
            width=clips.width,
            num_frames=clips.num_frames,
            fps=clips.fps,
            sample_rate=clips.sample_rate or None,
            scenes=corpus_scenes("synthetic-plain"),
            split="triples",
        )

    def has(self, task: str) -> bool:
        return task in ALL_PROBES

    def example(self, task: str, number: int) -> Example:
        """An example of a task that there are examples of."""
        number %= COUNT
        probe = ALL_PROBES[task]
        prompt = probe.prompt(self.corpus[number], self.corpus.scene(number), probe.num_given(self.model))
        media = {name: getattr(prompt, name) for name in _SUFFIXES}
        files = {
            name: self._written(clip, f"{task}-{number}-{name}{_SUFFIXES[name]}")
            for name, clip in media.items()
            if isinstance(clip, Clip)
        }
        return Example(prompt.text, files)

    def _written(self, clip: Clip, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            clip.save(path)
        return path
