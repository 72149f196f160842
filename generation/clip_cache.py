"""Intermediate clips on disk, without loss: a resumed run goes on from exactly what an earlier step made.

Video files are lossy, so chains and long videos also write their clips as .safetensors. Each says what it was
made of, the weights of the model among it: one that was made of something else is made again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..data.media.clip import Clip
from ..data.media.clip_tensors import put_together, take_apart
from ..data.runtime.checksums import file_hash
from ..data.runtime.files import replacing
from ..data.runtime.parsing import parse_json

SUFFIX, _MADE_OF = ".safetensors", "made_of"


def cache_clip(clip: Clip, path: Path, made_of: str = "") -> None:
    """Write a clip; the file appears when it is complete.

    Args:
        made_of: hex digits of all that it follows from (`digest_of`).
    """
    tensors, values = take_apart(clip)
    # One key alone: safetensors writes several in an order that changes from time to time.
    metadata = {"clip": json.dumps(values | {_MADE_OF: made_of})}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


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
            values = _values(file)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        values.pop(_MADE_OF, None)
        return put_together(tensors, values)
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} holds no clip; remove it to have it made again") from error


def is_cached(path: Path, made_of: str) -> bool:
    """Whether a file holds a clip that was made of this; any other file does not."""
    try:
        with safe_open(path, "pt") as file:
            return _values(file)[_MADE_OF] == made_of
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return False


def cached_or_made(path: Path | None, make: Callable[[], Clip], made_of: str) -> Clip:
    """The clip of a file, if it was made of this, or else what `make` returns, written to it.

    Without a path nothing is written.
    """
    if path is None:
        return make()
    if not is_cached(path, made_of):
        if path.exists():
            print(f"{path} was made of something else, and is made again")
        cache_clip(make(), path, made_of)
    return cached_clip(path)


def digest_of(settings: Mapping[str, Any]) -> str:
    """Hex digits of settings; of the clips among them their contents, of paths those of their files."""
    text = json.dumps({name: _plain(value) for name, value in settings.items()}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _values(file: Any) -> Any:
    return parse_json(file.metadata()["clip"], "it")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return file_hash(value) if value.is_file() else str(value)
    if isinstance(value, Clip):
        tensors, values = take_apart(value)
        arrays = {name: tensor.cpu().contiguous().numpy() for name, tensor in tensors.items()}
        return [values, {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}]
    if hasattr(value, "__array__"):  # a picture, an array or a tensor
        array = np.asarray(value)
        return [array.shape, str(array.dtype), hashlib.sha256(array.tobytes()).hexdigest()]
    return value
