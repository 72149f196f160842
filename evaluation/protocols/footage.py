"""Real clips of benchmarks: cut from files and folders of pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ...data.media.clip import Clip
from ...data.media.reading import read_clip
from ...data.media.streams import MediaError
from ...data.sources.entry import MEDIA_SUFFIXES
from .benchmark import Footage

_PICTURES = (".jpg", ".jpeg", ".png")
_PICTURES_FPS = 24.0  # of DAVIS


def read_footage(
    footage: Footage,
    num_frames: int,
    height: int,
    width: int,
    fps: float | None = None,
) -> Clip | str:
    """`num_frames` frames scaled to cover the size and cut around the centre, or why there are none.

    Args:
        fps: to show the file at; its own if not given.
    """
    try:
        if footage.path.is_dir():
            clip = _read_pictures(footage, num_frames, height, width)
        else:
            clip = read_clip(
                footage.path,
                start=footage.start,
                end=footage.end,
                fps=fps,
                height=height,
                width=width,
            )
    except (MediaError, FileNotFoundError) as error:
        return str(error)
    spare = clip.num_frames - num_frames
    if spare < 0:
        return f"{footage.path}: {clip.num_frames} frames; {num_frames} are needed"
    first = {"start": 0, "centre": spare // 2}.get(footage.place)
    if first is None:
        first = int(np.random.default_rng(footage.draw).integers(spare + 1))
    return clip.window(first, num_frames)


def videos_by_name(folder: Path) -> dict[str, Path]:
    """Media files anywhere below a folder by their name without the suffix.

    Raises:
        FileNotFoundError: if the folder is not there.
        ValueError: if there are none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    kinds = set(MEDIA_SUFFIXES) - set(_PICTURES)
    found = {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix.lower() in kinds}
    if not found:
        raise ValueError(f"{folder} has no videos in it")
    return found


def drawn(items: Sequence[Path], count: int, seed: int) -> Iterator[tuple[int, Path]]:
    """`count` items with numbers for their draws: all in a random order, then all in another, and so on."""
    order: list[int] = []
    for number in range(count):
        if number % len(items) == 0:
            order = np.random.default_rng((seed, number // len(items))).permutation(len(items)).tolist()
        yield seed * 1_000_003 + number, items[order[number % len(items)]]


def _read_pictures(footage: Footage, num_frames: int, height: int, width: int) -> Clip:
    files = sorted(path for path in footage.path.iterdir() if path.suffix.lower() in _PICTURES)
    files = files[footage.first_frame : footage.first_frame + num_frames]
    if not files:
        raise FileNotFoundError(f"{footage.path} has no pictures from the {footage.first_frame}th on")
    pictures = [read_clip(path, height=height, width=width) for path in files]
    frames = torch.cat([picture.frames for picture in pictures])
    return replace(pictures[0], frames=frames, fps=_PICTURES_FPS)
