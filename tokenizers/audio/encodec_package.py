"""Files of the package `encodec` (Défossez et al. 2022, arXiv:2210.13438): checkpoints, compressed sound.

    encodec_24khz-d7cc33bc.th   weights of the 24 kHz model: `read_checkpoint` makes an EncodecModel of them
    sound.ecdc                  codes: `read_ecdc`, and `decode_ecdc` with a tokenizer of that model

Neither needs the package, except for .ecdc files that were entropy-coded (`encodec --lm`): their
probabilities come from a language model that only the package has, with weights of its own. The package is
not among the dependencies, as PyPI's 0.1.1 is CC BY-NC 4.0 (its repository has been MIT since April 2023):
`pip install 'videolm[encodec]'`.

    ECDC file    "ECDC" | version, one byte: 0 | length of the header, four bytes | header, JSON | codes
    header       m: model, al: samples, nc: levels, lm: entropy-coded or not
    codes        latent by latent, its levels in order; ten bits each, lowest first, across bytes
"""

import io
import json
import re
import struct
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from ..video.clip_codes import unpack_codes
from .protocol import AudioCodec
from .torchaudio_guard import tolerate_torchaudio

MODEL = "encodec_24khz"
SAMPLE_RATE, HOP_LENGTH, LEVELS, BITS = 24_000, 320, 32, 10

_HEADER = struct.Struct("!4sBI")

# Names in the package's checkpoint to names in transformers' model: the same modules, nested in another way.
_NAMES = (
    (r"^(encoder|decoder)\.model\.", r"\1.layers."),
    (r"\.conv\.conv\.|\.convtr\.convtr\.", ".conv."),
    (r"^quantizer\.vq\.layers\.(\d+)\._codebook\.", r"quantizer.layers.\1.codebook."),
    (r"\.weight_g$", ".parametrizations.weight.original0"),
    (r"\.weight_v$", ".parametrizations.weight.original1"),
)


@dataclass(frozen=True)
class CompressedSound:
    """What an .ecdc file holds.

    Args:
        codes: of the package's 24 kHz model, 75 latents a second.
        num_samples: of the sound that was coded, at 24 kHz; the last hop may be begun only.
    """

    codes: Int[Tensor, "levels frames"]
    num_samples: int


def read_checkpoint(path: str | Path) -> Any:
    """The package's 24 kHz model as transformers' EncodecModel, in evaluation mode: the same network.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it does not hold the weights of that model.
    """
    from transformers import EncodecConfig, EncodecModel

    weights = {_renamed(name): value for name, value in _read_weights(Path(path)).items()}
    model = EncodecModel(EncodecConfig())
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} does not hold encodec's mono 24 kHz model: {reason} …") from error
    return model.eval()


def read_ecdc(path: str | Path, language_model: str | Path | None = None) -> CompressedSound:
    """The codes in an .ecdc file of the 24 kHz model.

    Args:
        language_model: checkpoint of the package's language model (encodec_lm_24khz-….th), needed for
            entropy-coded files only, as is the package.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if it is no such file, ends too early, is of another model, or is entropy-coded and the
            package or its language model is not there.
    """
    content = Path(path).read_bytes()
    header, codes = _split(path, content)
    levels, num_samples = header["nc"], header["al"]
    frames = -(-num_samples // HOP_LENGTH)
    if header["lm"]:
        if language_model is None:
            raise ValueError(f"{path} is entropy-coded; give the checkpoint of encodec's language model too")
        values = _entropy_decoded(path, codes, levels, frames, Path(language_model))
    else:
        values = _unpacked(path, codes, levels * frames)
    return CompressedSound(rearrange(values, "(frames levels) -> levels frames", levels=levels), num_samples)


@torch.no_grad()
def decode_ecdc(
    path: str | Path, tokenizer: AudioCodec, language_model: str | Path | None = None
) -> Float[Tensor, "1 samples"]:
    """The sound in an .ecdc file, at 24 kHz, as the package's `decompress` gives it.

    Args:
        tokenizer: the package's 24 kHz model, with at least as many levels as the file.
        language_model: as `read_ecdc`.

    Raises:
        FileNotFoundError, ValueError: as `read_ecdc`; ValueError too for a tokenizer of other sizes.
    """
    sizes = (tokenizer.sample_rate, tokenizer.hop_length, set(tokenizer.codebook_sizes))
    if sizes != (SAMPLE_RATE, HOP_LENGTH, {2**BITS}):
        raise ValueError(
            f"the tokenizer has {sizes[0]} Hz, hops of {sizes[1]} and codebooks of {sizes[2]}; "
            f"expected EnCodec with {SAMPLE_RATE} Hz, hops of {HOP_LENGTH} and codebooks of {2**BITS}"
        )
    sound = read_ecdc(path, language_model)
    if len(sound.codes) > len(tokenizer.codebook_sizes):
        raise ValueError(
            f"{path} has {len(sound.codes)} levels and the tokenizer {len(tokenizer.codebook_sizes)}; "
            f"adopt one with --levels {len(sound.codes)}"
        )
    return tokenizer.decode(sound.codes[None])[0, :, : sound.num_samples]


def import_package(module: str = "encodec") -> Any:
    """A module of the package `encodec`, also where its torchaudio cannot load its compiled part.

    Raises:
        ValueError: if the package is not installed.
    """
    if find_spec("encodec") is None:
        raise ValueError("this needs the package encodec (CC BY-NC 4.0): pip install 'videolm[encodec]'")
    tolerate_torchaudio()
    return import_module(module)


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for a file that is none of its own
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} is not a checkpoint of weights alone: {reason}") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f"{path} does not hold a dictionary of tensors")
    return weights


def _renamed(name: str) -> str:
    for theirs, ours in _NAMES:
        name = re.sub(theirs, ours, name)
    return name


def _split(path: str | Path, content: bytes) -> tuple[dict[str, Any], bytes]:
    """The checked header of an .ecdc file and what follows it."""
    magic, version, length = _HEADER.unpack(content[: _HEADER.size].ljust(_HEADER.size, b"\0"))
    if magic != b"ECDC" or version != 0:
        raise ValueError(f"{path} is not an .ecdc file of version 0")
    end = _HEADER.size + length
    try:
        header = json.loads(content[_HEADER.size : end].decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} has a broken header: {error}") from error
    kinds = {"m": str, "al": int, "nc": int, "lm": bool}
    if not isinstance(header, dict) or any(type(header.get(key)) is not kind for key, kind in kinds.items()):
        raise ValueError(f"{path} has a header without model, samples, levels and lm: {header}")
    if header["m"] != MODEL:
        raise ValueError(f"{path} was made by {header['m']}; expected {MODEL}, the mono one")
    if not 1 <= header["nc"] <= LEVELS or header["al"] < 1:
        raise ValueError(f"{path} states {header['nc']} levels and {header['al']} samples")
    return header, content[end:]


def _unpacked(path: str | Path, packed: bytes, count: int) -> Int[Tensor, " count"]:
    """Values of ten bits, lowest bit first, across bytes."""
    if len(packed) * 8 < count * BITS:
        raise ValueError(
            f"{path} ends too early: {len(packed)} bytes of codes, expected {-(-count * BITS // 8)}"
        )
    return unpack_codes(torch.frombuffer(bytearray(packed), dtype=torch.uint8), count, BITS)


@torch.no_grad()
def _entropy_decoded(
    path: str | Path, coded: bytes, levels: int, frames: int, language_model: Path
) -> Int[Tensor, " count"]:
    """Values that the package's arithmetic coder wrote, each as likely as its language model says.

    The model sees the codes of each latent before it says how likely those of the next are, so this goes
    latent by latent and is slow.
    """
    lm = _language_model(language_model)
    coding = import_package("encodec.quantization.ac")
    decoder = coding.ArithmeticDecoder(io.BytesIO(coded))
    values: list[int] = []
    states, offset = None, 0
    previous = torch.zeros(1, levels, 1, dtype=torch.long)  # 0 stands for "nothing yet", 1 + code for a code
    for _ in range(frames):
        probabilities, states, offset = lm(previous, states, offset)
        latent = []
        for level in range(levels):
            # As the package quantizes them when it writes; any other rounding decodes other codes.
            ranges = coding.build_stable_quantized_cdf(
                probabilities[0, :, level, 0], decoder.total_range_bits, check=False
            )
            value = decoder.pull(ranges)
            if value is None:
                raise ValueError(f"{path} ends too early: {len(values)} of {levels * frames} codes")
            latent.append(value)
        values += latent
        previous = 1 + torch.tensor(latent)[None, :, None]
    return torch.tensor(values)


def _language_model(path: Path) -> Any:
    """The package's language model of the 24 kHz codes, sized as its `get_lm_model` does."""
    model = import_package("encodec.model").LMModel(
        LEVELS, 2**BITS, num_layers=5, dim=200, past_context=int(3.5 * SAMPLE_RATE / HOP_LENGTH)
    )
    weights = _read_weights(path)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold encodec's language model of the 24 kHz codes") from error
    return model.eval()
