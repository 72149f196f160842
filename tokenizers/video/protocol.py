"""What the rest of the package needs of a video tokenizer, and how a folder becomes one.

Whatever meets `VideoCodec` can take our tokenizer's place: for codes on disk, under a language model and
as a codec of clips. `load_video_tokenizer` reads a folder's config.json to see which kind it holds.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar, Unpack, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...data.media.timing import video_latents
from ...data.runtime.files import read_json
from ...data.runtime.hub import HubOptions
from ...data.runtime.model_source import part_folder

# Not typing.Self: beartype refuses it on methods that it checks one by one.
Codec = TypeVar("Codec", bound="VideoCodec")

# Module and class by what config.json says: `kind` in our own folders, `model_type` in those of transformers.
_OURS = {"video_tokenizer": ("video_tokenizer", "VideoTokenizer")}
_FOREIGN = {"emu3_vqgan": ("emu3", "Emu3VideoTokenizer")}


@runtime_checkable
class VideoCodec(Protocol):
    """A causal video tokenizer: 1 + temporal_stride * k frames are 1 + k layers of codes.

    The first frame is coded alone, and codes never depend on later frames. A foreign tokenizer that counts
    frames in another way pads within `encode` and trims within `decode`.
    """

    @property
    def codebook_size(self) -> int:
        """Codes lie in [0, codebook_size)."""
        ...

    @property
    def factors(self) -> tuple[int, ...]:
        """Sizes of the digits that a language model predicts a code by, the lowest first; their product is
        `codebook_size`."""
        ...

    @property
    def temporal_stride(self) -> int:
        """Frames that a code after the first covers."""
        ...

    @property
    def spatial_stride(self) -> int:
        """Height and width that a code covers, in pixels."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex digits that change with any setting or weight that codes depend on."""
        ...

    def grid(self, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Codes (t, h, w) of a clip.

        Raises:
            ValueError: for frame counts and sizes that `encode` does not take.
        """
        ...

    def encode(self, pixels: Float[Tensor, "batch 3 frames height width"]) -> Int[Tensor, "batch t h w"]:
        """Codes of clips with pixels in [-1, 1]; sizes as `grid` says."""
        ...

    def decode(self, codes: Int[Tensor, "batch t h w"]) -> Float[Tensor, "batch 3 frames height width"]:
        """Pixels, about in [-1, 1]: as many frames as `grid` makes t of."""
        ...

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that `load_video_tokenizer` reads."""
        ...

    # As of torch.nn.Module.
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def requires_grad_(self: Codec, requires_grad: bool = True) -> Codec: ...
    def eval(self: Codec) -> Codec: ...
    def to(self: Codec, device: torch.device | str) -> Codec: ...


@runtime_checkable
class StreamingEncoder(Protocol):
    """Encodes one batch of clips piece by piece."""

    @property
    def pending(self) -> int:
        """Frames pushed that no code covers yet."""
        ...

    def push(self, pixels: Float[Tensor, "batch 3 frames height width"]) -> Int[Tensor, "batch t h w"]:
        """The codes that are complete with these frames, any number of them; t may be 0."""
        ...


@runtime_checkable
class StreamingDecoder(Protocol):
    """Decodes one batch of clips piece by piece."""

    def push(self, codes: Int[Tensor, "batch t h w"]) -> Float[Tensor, "batch 3 frames height width"]:
        """The pixels of the next layers of codes."""
        ...


@runtime_checkable
class StreamingVideoCodec(Protocol):
    """A tokenizer that codes clips of any length in constant memory, as if whole."""

    def encoder_stream(self) -> StreamingEncoder: ...
    def decoder_stream(self) -> StreamingDecoder: ...


def load_video_tokenizer(model: str | Path, **hub: Unpack[HubOptions]) -> VideoCodec:
    """A video tokenizer, ours or one that there is an adapter for, in evaluation mode.

    Args:
        model: its folder, or a model that has it: a folder or a name, as `model_folder` takes them.
        hub: for a name on Hugging Face's hub.

    Raises:
        FileNotFoundError: if there is no such model, or a file is missing.
        ValueError: if it holds something else, or weights that do not fit its config.json.
    """
    folder = part_folder(model, "video_tokenizer", **hub)
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a folder of a video tokenizer: it has no config.json")
    config = read_json(path)
    module, name = _class_of(config, path)
    return getattr(import_module(f".{module}", __package__), name).from_pretrained(folder)


def code_grid(
    num_frames: int, height: int, width: int, *, temporal_stride: int, spatial_stride: int
) -> tuple[int, int, int]:
    """Codes (t, h, w) of a clip under `VideoCodec`'s rule of lengths.

    Raises:
        ValueError: if the frames after the first do not fill whole groups of `temporal_stride`, or
            height or width is not a multiple of `spatial_stride`.
    """
    stride = spatial_stride
    if height < 1 or width < 1 or height % stride or width % stride:
        raise ValueError(f"frames are {height}x{width}; expected height and width in multiples of {stride}")
    return video_latents(num_frames, temporal_stride), height // stride, width // stride


def check_codes(codes: Int[Tensor, "*grid"], codebook_size: int) -> None:
    """Refuse codes outside [0, codebook_size).

    Raises:
        ValueError: if there are any.
    """
    if codes.numel() and (codes.min() < 0 or codes.max() >= codebook_size):
        raise ValueError(
            f"codes lie in [{int(codes.min())}, {int(codes.max())}]; expected [0, {codebook_size})"
        )


def bit_factors(codebook_size: int) -> tuple[int, ...]:
    """Sizes of the low and the high half of a code's bits: 1024 codes are (32, 32), 32 codes (4, 8).

    A codebook of 2 codes, or whose size is no power of two, has one factor: itself.
    """
    bits = codebook_size.bit_length() - 1
    if bits < 2 or codebook_size != 2**bits:
        return (codebook_size,)
    return (2 ** (bits // 2), 2 ** (bits - bits // 2))


def _class_of(config: Any, path: Path) -> tuple[str, str]:
    """Module and class of a tokenizer, by its config.json."""
    stated = config if isinstance(config, dict) else {}
    for key, known in (("kind", _OURS), ("model_type", _FOREIGN)):
        if isinstance(stated.get(key), str) and stated[key] in known:
            return known[stated[key]]
    found = " and ".join(f"{key} {stated[key]!r}" for key in ("kind", "model_type") if key in stated)
    expected = [f"kind {each!r}" for each in _OURS] + [f"model_type {each!r}" for each in _FOREIGN]
    raise ValueError(f"{path} describes {found or 'no known model'}; expected {' or '.join(expected)}")
