"""Folders of transformers' audio codecs: config.json and model.safetensors, nothing that can run code.

    TransformersCodec   what the adapters of such codecs share
    read_codec          folder -> one of transformers' models
    write_codec         the way back
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from ...data.runtime.checksums import check_files, record_checksums
from ...data.runtime.files import read_json, replacing
from ...data.runtime.pretrained import check_finite, fingerprint
from ...data.runtime.transformers_loading import LOCAL_WEIGHTS, quiet_transformers
from .torchaudio_guard import tolerate_torchaudio

FILES = ("config.json", "model.safetensors")
# The class in transformers by what config.json calls the model.
MODELS = {"encodec": "EncodecModel", "dac": "DacModel", "mimi": "MimiModel"}

# Not typing.Self: beartype refuses it on methods that it checks one by one.
Codec = TypeVar("Codec", bound="TransformersCodec")


class TransformersCodec(nn.Module):
    """One of transformers' codecs as an audio tokenizer, but for encoding and decoding.

    Attributes:
        kind: of `MODELS`.
        settings: what decides, beside the weights, which codes a waveform gets. Named one by one: the stored
            config also holds versions and paths, which say nothing about the codes.
    """

    kind: ClassVar[str]
    settings: ClassVar[tuple[str, ...]]

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model: Any = model
        self.eval()

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self, self.model)

    @classmethod
    def from_pretrained(cls: type[Codec], folder: str | Path) -> Codec:
        """Load a folder of transformers' `save_pretrained`.

        Raises:
            FileNotFoundError: if the folder or a file in it is missing.
            ValueError: if it holds another kind of model or weights that do not fit.
        """
        return cls(read_codec(folder, cls.kind))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that plain transformers reads too."""
        write_codec(self.model, folder)

    @property
    def sample_rate(self) -> int:
        return self.model.config.sampling_rate

    @property
    def fingerprint(self) -> str:
        config = self.model.config.to_dict()
        return fingerprint({name: config[name] for name in self.settings}, self.model.state_dict())


def model_type(folder: str | Path) -> str:
    """Which of `MODELS` a folder holds.

    Raises:
        FileNotFoundError: if the folder or its config.json is missing.
        ValueError: if it holds something else.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a folder of an audio tokenizer: it has no config.json")
    config = read_json(path)
    stated = config.get("model_type") if isinstance(config, dict) else None
    if stated not in MODELS:
        raise ValueError(f"{path} describes model_type {stated!r}; expected one of {', '.join(MODELS)}")
    return stated


def read_codec(folder: str | Path, kind: str | None = None) -> Any:
    """The codec in a local folder, in float32 and evaluation mode, with every weight accounted for.

    Args:
        kind: the one of `MODELS` that it must be; any if not given.

    Raises:
        FileNotFoundError: if the folder or a file in it is missing.
        ValueError: if it holds another kind of model or weights that do not fit.
    """
    for name in FILES:
        if not (Path(folder) / name).is_file():
            raise FileNotFoundError(f"{folder} is not a folder of an audio tokenizer: it has no {name}")
    check_files(folder)
    stated = model_type(folder)
    if kind not in (None, stated):
        raise ValueError(f"{Path(folder) / 'config.json'} describes {stated!r}; expected {kind!r}")
    tolerate_torchaudio()
    import torch
    import transformers

    try:
        with quiet_transformers():
            model, report = getattr(transformers, MODELS[stated]).from_pretrained(
                folder,
                dtype=torch.float32,
                **LOCAL_WEIGHTS,
                # Not to ignore them, but to find them in the report beside the other misfits.
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:  # transformers and safetensors raise many types for a damaged folder
        reason = " ".join(str(error).split())
        raise ValueError(f"{folder} cannot be loaded as a {MODELS[stated]}: {reason}") from error
    misfits = {problem: sorted(names) for problem, names in report.items() if names}
    if misfits:
        raise ValueError(f"{Path(folder) / 'model.safetensors'} does not fit its config.json: {misfits}")
    check_finite(model.state_dict(), Path(folder) / "model.safetensors")
    return model.eval()


def encodec_bandwidth(levels: int, bits: int, latents_per_second: int) -> float:
    """The bandwidth in kbit/s by which an EncodecModel uses so many levels.

    EncodecModel counts the levels by rounding the bandwidth down, so it must not fall short of them by a
    rounding error.

    Args:
        bits: of a code.
    """
    return math.nextafter(levels * bits * latents_per_second / 1000, math.inf)


def reduced(tokenizer: nn.Module, model: Any) -> tuple[Any, ...]:
    """How a tokenizer around one of transformers' codecs is pickled: PyTorch itself refuses modules with
    weight norm, but not their settings and weights."""
    return _rebuilt, (type(tokenizer), type(model), model.config, model.state_dict(), tokenizer.training)


def _rebuilt(
    tokenizer: Callable[[nn.Module], nn.Module],
    kind: Callable[[Any], nn.Module],
    config: Any,
    state: dict[str, Tensor],
    training: bool,
) -> nn.Module:
    model = kind(config).to(next(iter(state.values())).device)
    model.load_state_dict(state)
    return tokenizer(model).train(training)


def write_codec(model: Any, folder: str | Path) -> None:
    """Write a folder that plain transformers reads too."""
    with replacing(Path(folder)) as temporary, quiet_transformers():
        model.save_pretrained(temporary)
        record_checksums(temporary)
