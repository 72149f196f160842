"""Weights of other projects: read without executing code in them, checked before use."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors of a .safetensors or .npz file, or of one that torch saved.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read as weights.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected a file of weights")
    try:
        weights = _load(path)
    except Exception as error:  # safetensors, pickle and numpy raise many types for a damaged file
        raise ValueError(f"{path} cannot be read as weights: {_one_line(error)}") from error
    if isinstance(weights, dict) and isinstance(weights.get("state_dict"), dict):
        weights = weights["state_dict"]  # as Lightning and many training scripts save a module
    if not (isinstance(weights, dict) and all(isinstance(value, Tensor) for value in weights.values())):
        raise ValueError(f"{path} holds no dictionary of tensors; expected a module's state_dict")
    return weights


def load_fitting(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Fill a module from weights, of which those that it does not have are left out.

    Counters of batch norms, which older files do not have, need not be there.

    Raises:
        ValueError: if one is missing or has another shape.
    """
    state = module.state_dict()
    expected = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    check_holds(weights, expected, path)
    module.load_state_dict({name: weights[name] for name in expected}, strict=False)


def check_holds(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that lack one of those expected, or have it in another shape."""
    if missing := [name for name in expected if name not in weights]:
        raise ValueError(f"{path} lacks {some(missing)}")
    for name, value in expected.items():
        if weights[name].shape != value.shape:
            found, wanted = tuple(weights[name].shape), tuple(value.shape)
            raise ValueError(f"{path} has {name} of shape {found}; expected {wanted}")


def some(names: Iterable[str]) -> str:
    """The first few of many names."""
    listed = sorted(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def _load(path: Path) -> object:
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return torch.load(path, map_location="cpu", weights_only=True)


def _one_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
