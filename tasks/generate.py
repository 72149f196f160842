"""What `videolm generate` does: prompts from flags or a file, clips to files."""

import warnings
from pathlib import Path
from typing import Any

from ..data.media import write_clip
from ..lm.sampling import Sampling
from .output import check_target
from .pipeline import VideoLM
from .progress import progress
from .prompt import Prompt
from .task import load_task


def generate_files(
    model: Path,
    task: str,
    out: Path,
    given: dict[str, Any],
    prompts: Path | None,
    seed: int,
    sampling: dict[str, Any],
) -> list[Path]:
    """Generate one clip for the given inputs, or one for each line of a file of prompts.

    Raises:
        FileNotFoundError, ValueError: for what cannot be used, before the model is loaded where possible.
    """
    if prompts is None:
        check_target(out)
        texts, targets = [given["text"]], [out]
    else:
        _check_folder(out)
        texts = _read_prompts(prompts, given["text"])
        targets = [out / f"{index:03d}.mp4" for index in range(len(texts))]
    rows = [Prompt(**given | {"text": text}) for text in texts]
    rows[0].check(load_task(task), sampling["guidance_scale"])
    pipeline = VideoLM.from_pretrained(model)
    with warnings.catch_warnings(record=True) as notes, progress(f"generate {task}", len(rows)) as report:
        warnings.simplefilter("always", UserWarning)
        clips = pipeline.generate_batch(task, rows, seed=seed, sampling=Sampling(**sampling), progress=report)
    for message in dict.fromkeys(str(note.message) for note in notes if note.category is UserWarning):
        print(f"note: {message}")
    for clip, path in zip(clips, targets, strict=True):
        write_clip(clip, path)
    return targets


def _check_folder(out: Path) -> None:
    if out.suffix:
        raise ValueError(f"--out is {out}; with --prompts it is a folder for 000.mp4, 001.mp4, …")
    if not out.is_dir():
        raise FileNotFoundError(f"there is no folder {out} to write the clips to; make it first")


def _read_prompts(path: Path, text: str | None) -> list[str]:
    if text is not None:
        raise ValueError("give either --text or --prompts")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    prompts = [line for line in lines if line]
    if not prompts:
        raise ValueError(f"{path} holds no prompts; expected one a line")
    return prompts
