"""Model folders: config.json, model.safetensors and their checksums, nothing that can run code."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from math import prod
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .checksums import check_files, record_checksums
from .files import read_json, replacing, write_json
from .typed_fields import from_fields
from .weights_file import some

CONFIG_VERSION = 1
_WEIGHTS = "model.safetensors"
# Metadata of a setting that came after models were stored. At its default it is no part of the fingerprint:
# these models, and all codes that were made with them, are still the same.
LATER = {"is_later": True}

_NOTHING = object()  # equals no setting
# Not typing.Self: beartype refuses it on methods that it checks one by one.
Model = TypeVar("Model", bound="PretrainedMixin")


def fingerprint(config: dict[str, Any], state: dict[str, Tensor]) -> str:
    """16 hex digits that change with any setting or weight."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def identity(config: Any) -> dict[str, Any]:
    """The settings of a dataclass that its fingerprint counts: all but those that are `LATER` and at their
    default."""
    usual = {each.name: each.default for each in fields(config) if each.metadata.get("is_later")}
    return {name: value for name, value in asdict(config).items() if usual.get(name, _NOTHING) != value}


class PretrainedMixin(nn.Module):
    """`save_pretrained` and `from_pretrained` for a module built from one frozen dataclass.

    The class sets `kind` (what config.json calls it) and `config_class`, keeps its settings in
    `self.config`, and can be built from that object alone.
    """

    kind: ClassVar[str]
    config_class: ClassVar[type]
    config: Any

    @property
    def fingerprint(self) -> str:
        return fingerprint(identity(self.config), self.state_dict())

    def save_pretrained(self, folder: str | Path, state: dict[str, Tensor] | None = None) -> None:
        """Write config.json, model.safetensors and their checksums.

        Args:
            state: weights in place of those that the module holds, such as the parts of several processes.
        """
        held = self.state_dict() if state is None else state
        with replacing(Path(folder)) as temporary:
            temporary.mkdir()
            header = {"kind": self.kind, "config_version": CONFIG_VERSION}
            write_json(temporary / "config.json", header | asdict(self.config))
            state = {name: value.detach().cpu().contiguous() for name, value in held.items()}
            save_file(state, temporary / _WEIGHTS)
            record_checksums(temporary)

    @classmethod
    def from_pretrained(cls: type[Model], folder: str | Path) -> Model:
        """Load a folder that `save_pretrained` wrote, in evaluation mode.

        Raises:
            FileNotFoundError: if the folder or a file in it is missing.
            ValueError: if it holds another kind of model, a newer version or weights that do not fit.
        """
        config = read_config(folder, cls.kind, cls.config_class)
        check_fit(lambda: cls(config), folder)
        model = cls(config)
        load_weights(model, folder)
        return model


def refuse_sharded(folder: str | Path) -> None:
    """Refuse a checkpoint of a sharded training, whose files are pickles: loading one can run code.

    Raises:
        ValueError: if `folder` is one.
    """
    if any((Path(folder) / name).exists() for name in (".metadata", "meta.pt", "__0_0.distcp")):
        raise ValueError(
            f"{folder} is a checkpoint of a sharded training, from which only that training itself goes on "
            "(it could run code): give the model folder that the fit wrote"
        )


def read_config(folder: str | Path, kind: str, config_class: type) -> Any:
    """The settings in a model folder, as `config_class`, whose files are as they were written.

    Errors as `from_pretrained`.
    """
    refuse_sharded(folder)
    check_files(folder)
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a folder of a {kind}: it has no config.json")
    values = read_json(path)
    if not isinstance(values, dict) or values.get("kind") != kind:
        found = values.get("kind") if isinstance(values, dict) else type(values).__name__
        raise ValueError(f"{path} describes {found!r}; expected {kind!r}")
    version = values.pop("config_version", None)
    if version != CONFIG_VERSION:
        raise ValueError(f"{path} has config_version {version!r}; this videolm reads {CONFIG_VERSION}")
    del values["kind"]
    return from_fields(config_class, values, str(path))


def check_fit(build: Callable[[], nn.Module], folder: str | Path, what: str = "its config.json") -> None:
    """Compare the weights of a folder with a model, before there is memory for either.

    Args:
        build: makes the model.
        what: the model follows from, for the message.

    Raises:
        FileNotFoundError: if there are no weights.
        ValueError: if they cannot be read, or are not the model's by name and shape.
    """
    path = _path_of_weights(folder)
    try:
        with torch.device("meta"), _WithoutDraws():
            expected = {name: list(value.shape) for name, value in build().state_dict().items()}
        with safe_open(path, "pt") as file:
            found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{path} does not fit {what}: {' '.join(str(error).split())}") from error
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(
                f"{path} does not fit {what}: {name} is {found.get(name, 'absent')}; "
                f"expected {expected.get(name, 'absent')}"
            )


class _WithoutDraws(TorchFunctionMode):
    """Leaves tensors undrawn: what has no memory needs no random numbers, and drawing them on the meta device
    imports torch._dynamo, which takes longer than loading a model."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", "") == nn.init.__name__:
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


def load_weights(model: nn.Module, folder: str | Path) -> None:
    """Fill `model` from model.safetensors and put it into evaluation mode.

    Raises:
        FileNotFoundError: if there are no weights.
        ValueError: if they do not fit, or are not finite.
    """
    path = _path_of_weights(folder)
    try:
        model.load_state_dict(load_file(path))
    except Exception as error:  # safetensors raises its own types for a damaged file
        raise ValueError(f"{path} does not fit its config.json: {' '.join(str(error).split())}") from error
    check_finite(model.state_dict(), path)
    model.eval()


def check_finite(state: Mapping[str, Tensor], path: Path) -> None:
    """Raise a ValueError that names weights which are NaN or infinite."""
    wrong = [
        name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()
    ]
    if wrong:
        raise ValueError(f"{path} is damaged: {some(wrong)} have values that are not finite")


def weights_of(folder: Path) -> tuple[int, tuple[str, ...]]:
    """The number of parameters in a folder, and the formats that they are stored in, such as ("F32",)."""
    path = folder / _WEIGHTS
    if not path.is_file():
        return 0, ()
    with safe_open(path, "pt") as file:
        slices = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118
        formats = sorted({each.get_dtype() for each in slices})
        return sum(prod(each.get_shape()) for each in slices), tuple(formats)


def _path_of_weights(folder: str | Path) -> Path:
    path = Path(folder) / _WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {_WEIGHTS}")
    return path
