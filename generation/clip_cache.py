"""Clips kept exactly: what a later step goes on from is bit for bit what an earlier one made.

Films are compressed with losses, so work that goes on from its own results keeps them as .safetensors too.
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


def keep_clip(clip: Clip, path: Path) -> None:
    """Write a clip; nothing is seen of the file before it is complete."""
    tensors, values = take_apart(clip)
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"clip": json.dumps(values)})


def kept_clip(path: Path) -> Clip:
    """Read what `keep_clip` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no clip.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no kept clip {path}")
    try:
        with safe_open(path, "pt") as file:
            values = json.loads(file.metadata()["clip"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return put_together(tensors, values)
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} holds no clip; remove it to have it made again") from error


def kept_or_made(path: Path | None, make: Callable[[], Clip]) -> Clip:
    """The clip that a file keeps, or else what `make` gives, which it keeps from now on; None keeps none."""
    if path is None:
        return make()
    if not path.is_file():
        keep_clip(make(), path)
    return kept_clip(path)
