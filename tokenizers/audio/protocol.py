"""What the rest of the package needs of an audio tokenizer, and how a folder becomes one.

Whatever meets `AudioCodec` can take our codec's place. Its rate, levels and codebook sizes flow from here
into the codes on disk, the vocabulary and the layout:

    model_type   class            as released                                       latents a second
    encodec      AudioTokenizer   ours at 16 kHz; EnCodec at 24 kHz, 32 levels      50; 75
    dac          DacTokenizer     DAC at 16 kHz, 12 levels                          50
    mimi         MimiTokenizer    Mimi at 24 kHz, 32 levels                         12.5

`videolm audio adopt` (tokenizers/audio/foreign.py) makes a folder of the last three.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar, Unpack, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...data.runtime.hub import HubOptions
from ...data.runtime.model_source import part_folder
from .transformers_folder import model_type

# Not typing.Self: beartype refuses it on methods that it checks one by one.
Codec = TypeVar("Codec", bound="AudioCodec")

# Module and class by config.json's model_type.
_CLASSES = {
    "encodec": ("codec", "AudioTokenizer"),
    "dac": ("dac", "DacTokenizer"),
    "mimi": ("mimi", "MimiTokenizer"),
}


@runtime_checkable
class AudioCodec(Protocol):
    """A tokenizer of mono sound: k hops of samples are k latents, each of one code a level."""

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        ...

    @property
    def hop_length(self) -> int:
        """Samples per latent."""
        ...

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each level; a level refines those before it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex digits that change with any setting or weight that codes depend on."""
        ...

    def encode(self, waveform: Float[Tensor, "batch 1 samples"]) -> Int[Tensor, "batch levels frames"]:
        """Codes of samples in [-1, 1] at `sample_rate`: frames = samples / hop_length.

        Raises:
            ValueError: if the samples are not a whole number of hops.
        """
        ...

    def decode(self, codes: Int[Tensor, "batch levels frames"]) -> Float[Tensor, "batch 1 samples"]:
        """Sound of codes: samples = frames * hop_length. Of fewer levels, the first ones, it is coarser."""
        ...

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that `load_audio_tokenizer` reads."""
        ...

    # As of torch.nn.Module.
    def requires_grad_(self: Codec, requires_grad: bool = True) -> Codec: ...
    def eval(self: Codec) -> Codec: ...
    def to(self: Codec, device: torch.device | str) -> Codec: ...


def load_audio_tokenizer(model: str | Path, **hub: Unpack[HubOptions]) -> AudioCodec:
    """An audio tokenizer, ours or one that there is an adapter for, in evaluation mode.

    It codes at every level that the folder holds.

    Args:
        model: its folder, or a model that has it: a folder or a name, as `model_folder` takes them.
        hub: for a name on Hugging Face's hub.

    Raises:
        FileNotFoundError: if there is no such model, or a file is missing.
        ValueError: if it holds something else, or weights that do not fit its config.json.
    """
    folder = part_folder(model, "audio_tokenizer", **hub)
    return _class_of(model_type(folder)).from_pretrained(folder)


def as_codec(model: Any) -> AudioCodec:
    """The adapter around one of transformers' codecs.

    Raises:
        ValueError: if the model has settings that the adapter does not take, such as two channels.
    """
    return _class_of(model.config.model_type)(model)


def check_hops(samples: int, hop_length: int) -> None:
    """Refuse sounds that are not whole hops.

    Raises:
        ValueError: if there is a rest, or no sample at all.
    """
    if samples == 0 or samples % hop_length:
        nearest = max(samples // hop_length, 1) * hop_length
        raise ValueError(
            f"waveform has {samples} samples; expected whole hops of {hop_length}, such as {nearest}"
        )


def check_levels(codes: Int[Tensor, "batch levels frames"], codebook_sizes: tuple[int, ...]) -> None:
    """Refuse codes of more levels than the codec has, or of none.

    Raises:
        ValueError: if there are.
    """
    if not 1 <= codes.shape[1] <= len(codebook_sizes):
        raise ValueError(f"codes have {codes.shape[1]} levels; expected 1 to {len(codebook_sizes)}")


def _class_of(kind: str) -> Any:
    module, name = _CLASSES[kind]
    return getattr(import_module(f".{module}", __package__), name)
