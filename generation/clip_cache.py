"""Intermediate clips on disk, without loss: a resumed run goes on from exactly what an earlier step made.

Video files are lossy, so chains and long videos also write their clips as .safetensors.
"""

import json
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..data.media.clip import Clip
from ..data.media.clip_tensors import put_together, take_apart
from ..data.runtime.files import replacing

SUFFIX = ".safetensors"


def cache_clip(clip: Clip, path: Path) -> None:
    """Write a clip; the file appears when it is complete."""
    tensors, values = take_apart(clip)
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"clip": json.dumps(values)})


def cached_clip(path: Path) -> Clip:
    """The clip that `cache_clip` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no clip.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no cached clip {path}")
    try:
        with safe_open(path, "pt") as file:
            values = json.loads(file.metadata()["clip"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return put_together(tensors, values)
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} holds no clip; remove it to have it made again") from error


def cached_or_made(path: Path | None, make: Callable[[], Clip]) -> Clip:
    """The clip of a file, or else what `make` returns, written to it; without a path nothing is written."""
    if path is None:
        return make()
    if not path.is_file():
        cache_clip(make(), path)
    return cached_clip(path)
