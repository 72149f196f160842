"""The embedded corpus as files: what `videolm synthesize` writes and every other command can read."""

import json
from pathlib import Path

from ..data.media.clip import write_clip
from ..data.runtime.files import replacing
from ..data.runtime.progress import progress
from ..data.sources.selection import ClipSelection
from ..data.synthetic.corpus import corpus_of


def write_corpus(folder: Path, selection: ClipSelection, sample_rate: int) -> list[Path]:
    """Write the first clips of the embedded corpus as mp4 files and a captions.jsonl.

    An entry has several captions, the plain one first, and says what the clip shows: colour, shape, motion,
    camera, pitch.
    """
    clips = selection.clips
    if clips < 1:
        raise ValueError(f"clips is {clips}; expected at least 1")
    corpus = corpus_of(selection, sample_rate=sample_rate)
    lines = []
    folder.mkdir(parents=True, exist_ok=True)
    with progress("synthesize", clips) as report:
        for index in range(clips):
            clip, scene, name = corpus[index], corpus.scene(index), f"clip-{index:06d}.mp4"
            write_clip(clip, folder / name)
            shown = {key: getattr(scene, key) for key in ("colour", "shape", "motion", "camera", "pitch")}
            line = {"path": name, "caption": corpus.captions(index)} | shown
            lines.append(json.dumps(line, ensure_ascii=False))
            report(index + 1)
    with replacing(folder / "captions.jsonl") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [folder]
