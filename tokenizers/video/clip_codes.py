"""A video tokenizer as a codec of clips: any length and size, in memory or in one small file.

    clip -> encode_clip -> ClipCodes -> save -> FILE.codes -> load -> decode_clip -> clip

A tokenizer takes 1 + temporal_stride * k frames in multiples of spatial_stride. Clips are padded to that,
the last frame in time and the right and lower edge in space being repeated, and cut again after decoding.

A file is a safetensors file with the codes packed to ceil(log2(codebook_size)) bits each. The header takes
some 400 bytes, with a checksum of it and of the codes; all else are codes. It holds the pictures only, no
sound.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...data.codes.gathering import gather
from ...data.media.clip import Clip
from ...data.media.pixels import frames_from_pixels, pixels_from_frames
from ...data.media.timing import whole_frames
from ...data.runtime.files import replacing
from .protocol import StreamingVideoCodec, VideoCodec, check_codes

FORMAT_VERSION = 2  # from this one on with a checksum
_READABLE = ("1", "2")
SUFFIX = ".codes"
_MAX_BITS = 32
# Codes that are packed at once, a multiple of 8; pixels that are coded at once.
_CODES_AT_ONCE = 2**16
_PIXELS_AT_ONCE = 4 * 1920 * 1088
# Counts that a file may state; they are compared with the codes that are there.
_MAX_COUNT = 2**31
_FPS = (1e-3, 1e5)


@dataclass(frozen=True, eq=False)
class ClipCodes:
    """The pictures of a clip as codes.

    Args:
        codes: in [0, codebook_size), on the CPU.
        num_frames, height, width: of the clip, before it was padded.
        fps: frames per second.
        codebook_size: of the tokenizer.
        fingerprint: of the tokenizer, hex digits.

    Raises:
        ValueError: if one of these is out of its range.
    """

    codes: Int[Tensor, "t h w"]
    num_frames: int
    height: int
    width: int
    fps: float
    codebook_size: int
    fingerprint: str

    def __post_init__(self) -> None:
        for name in ("num_frames", "height", "width"):
            if not 1 <= getattr(self, name) <= _MAX_COUNT:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 to {_MAX_COUNT}")
        if not _FPS[0] <= self.fps <= _FPS[1]:
            raise ValueError(f"fps is {self.fps:g}; expected {_FPS[0]:g} to {_FPS[1]:g}")
        bits_of(self.codebook_size)
        if not re.fullmatch("[0-9a-f]{1,64}", self.fingerprint):
            raise ValueError(f"fingerprint is {self.fingerprint[:64]!r}; expected hex digits")
        if not self.codes.numel():
            raise ValueError(f"the grid of codes is {tuple(self.codes.shape)}; expected at least one code")
        check_codes(self.codes, self.codebook_size)

    @property
    def bits_per_pixel(self) -> float:
        """Information that the codes can carry, for each pixel of the clip as it was before padding."""
        return self._bits / (self.num_frames * self.height * self.width)

    @property
    def kilobits_per_second(self) -> float:
        """The same information for each second of the clip, in units of 1000 bits."""
        return self._bits * self.fps / self.num_frames / 1000

    @property
    def _bits(self) -> float:
        return self.codes.numel() * math.log2(self.codebook_size)

    def save(self, path: str | Path) -> None:
        """Write one file, by convention FILE.codes."""
        names = ("num_frames", "height", "width", "fps", "codebook_size", "fingerprint")
        metadata = {"format": "videolm.clip_codes", "format_version": str(FORMAT_VERSION)}
        metadata |= {"grid": " ".join(map(str, self.codes.shape))}
        metadata |= {name: str(getattr(self, name)) for name in names}
        packed = pack_codes(self.codes, bits_of(self.codebook_size))
        metadata["sha256"] = _checksum(metadata, packed)
        with replacing(Path(path)) as temporary:
            save_file({"codes": packed}, temporary, metadata=metadata)

    @classmethod
    def load(cls, path: str | Path) -> "ClipCodes":
        """Read a file that `save` wrote.

        Memory is bounded by the file's own size: counts that it states are compared with the bytes that are
        there before anything is unpacked.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no such file, of a newer version, damaged or inconsistent.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no file {path}")
        try:
            with safe_open(path, framework="pt") as file:
                return cls._of_file(file)
        except (SafetensorError, KeyError, ValueError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
            raise ValueError(f"{path} holds no codes that can be read: {reason}") from error

    @classmethod
    def _of_file(cls, file: Any) -> "ClipCodes":
        metadata: dict[str, str] = file.metadata() or {}
        if metadata.get("format") != "videolm.clip_codes":
            raise ValueError("it does not say that it is a file of videolm.clip_codes")
        version = metadata["format_version"][:20]
        if version not in _READABLE:
            raise ValueError(
                f"it has format_version {version!r}; this videolm reads {' and '.join(_READABLE)}"
            )
        t, h, w = _numbers(metadata["grid"], 3)
        (codebook_size,) = _numbers(metadata["codebook_size"], 1)
        bits = bits_of(codebook_size)
        if file.keys() != ["codes"]:
            raise ValueError("expected one tensor, the codes")
        stored = file.get_slice("codes")
        found, wanted = (stored.get_dtype(), stored.get_shape()), ("U8", [-(-t * h * w * bits // 8)])
        if found != wanted:
            raise ValueError(f"{t} x {h} x {w} codes are stored as {found}; expected {wanted}")
        sizes = {name: _numbers(metadata[name], 1)[0] for name in ("num_frames", "height", "width")}
        fps = float(metadata["fps"][:40])
        packed = file.get_tensor("codes")
        if version != "1" and metadata["sha256"] != _checksum(metadata, packed):
            raise ValueError("it is damaged: its checksum is another")
        codes = unpack_codes(packed, t * h * w, bits).reshape(t, h, w)
        return cls(codes, fps=fps, codebook_size=codebook_size, fingerprint=metadata["fingerprint"], **sizes)


def encode_clip(tokenizer: VideoCodec, clip: Clip, frames_per_chunk: int = 16) -> ClipCodes:
    """Codes of the pictures of a clip of any length and size; its sound is left out.

    Args, Raises: as `encode_frames`.
    """
    return encode_frames(tokenizer, clip.frames, clip.fps, frames_per_chunk)


@torch.no_grad()
def encode_frames(
    tokenizer: VideoCodec,
    frames: Iterable[UInt8[Tensor, "height width 3"]],
    fps: float,
    frames_per_chunk: int = 16,
) -> ClipCodes:
    """Codes of frames that come one after the other, all of one size.

    A tokenizer that streams never sees more than a chunk, and memory does not grow with the number of frames
    but for their codes; the codes are the same. One that does not stream takes the frames as a whole.

    Args:
        frames_per_chunk: frames that are encoded at once, fewer if they are large.

    Raises:
        ValueError: if there are no frames or frames_per_chunk is below 1.
    """
    _check_chunk(frames_per_chunk)
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise ValueError("the clip has no frames; expected at least one")
    every = _Counted(chain([first], iterator))
    height, width = first.shape[:2]
    if isinstance(tokenizer, StreamingVideoCodec):
        at_once = _at_once(frames_per_chunk, height, width)
        stream = tokenizer.encoder_stream()
        codes = gather((stream.push(pixels) for pixels in _padded(tokenizer, every, at_once)), dim=1)
        assert stream.pending == 0
    else:
        codes = tokenizer.encode(torch.cat(list(_padded(tokenizer, every, frames_per_chunk)), dim=2)).cpu()
    return ClipCodes(
        codes[0],
        num_frames=every.count,
        height=height,
        width=width,
        fps=fps,
        codebook_size=tokenizer.codebook_size,
        fingerprint=tokenizer.fingerprint,
    )


def decode_clip(tokenizer: VideoCodec, codes: ClipCodes, latents_per_chunk: int = 4) -> Clip:
    """The clip of codes, of the length and size it had before it was encoded.

    Args, Raises: as `decode_frames`.
    """
    return Clip(torch.cat(list(decode_frames(tokenizer, codes, latents_per_chunk))), codes.fps)


def decode_frames(
    tokenizer: VideoCodec, codes: ClipCodes, latents_per_chunk: int = 4
) -> Iterator[UInt8[Tensor, "_ height width 3"]]:
    """The frames of codes, a chunk after the other; memory as `encode_frames`.

    Args:
        latents_per_chunk: layers of codes that are decoded at once, fewer if frames are large.

    Raises:
        ValueError: if the codes are another tokenizer's, or not as many as a clip of this length and size
            has, or latents_per_chunk is below 1.
    """
    _check_chunk(latents_per_chunk)
    if codes.fingerprint != tokenizer.fingerprint:
        raise ValueError(
            f"the codes are those of tokenizer {codes.fingerprint}; this one is {tokenizer.fingerprint}"
        )
    grid = tokenizer.grid(*padded_size(tokenizer, codes.num_frames, codes.height, codes.width))
    if tuple(codes.codes.shape) != grid:
        size = f"{codes.num_frames} frames of {codes.height}x{codes.width}"
        raise ValueError(f"the grid of codes is {tuple(codes.codes.shape)}; expected {grid} for {size}")
    return _decoded(tokenizer, codes, latents_per_chunk)


@torch.no_grad()
def _decoded(
    tokenizer: VideoCodec, codes: ClipCodes, latents_per_chunk: int
) -> Iterator[UInt8[Tensor, "_ height width 3"]]:
    left, device = codes.num_frames, _device(tokenizer)
    held = codes.codes[None]
    if isinstance(tokenizer, StreamingVideoCodec):
        stream, stride = tokenizer.decoder_stream(), tokenizer.temporal_stride
        at_once = max(1, _at_once(latents_per_chunk * stride, codes.height, codes.width) // stride)
        parts = (stream.push(part.to(device)) for part in held.split(at_once, dim=1))
    else:
        parts = iter([tokenizer.decode(held.to(device))])
    for pixels in parts:
        frames = frames_from_pixels(pixels[0, :, :, : codes.height, : codes.width]).cpu()[:left]
        left -= len(frames)
        yield frames


def padded_size(tokenizer: VideoCodec, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
    """The least number of frames, height and width that the tokenizer takes and that hold this clip."""
    temporal, spatial = tokenizer.temporal_stride, tokenizer.spatial_stride
    whole = whole_frames(num_frames + temporal - 1, temporal)
    return whole, -(-height // spatial) * spatial, -(-width // spatial) * spatial


def bits_of(codebook_size: int) -> int:
    """Bits that hold any code: ceil(log2(codebook_size)).

    Raises:
        ValueError: for less than 2 codes, which carry nothing, and more than 2 ** 32.
    """
    if not 2 <= codebook_size <= 2**_MAX_BITS:
        raise ValueError(f"codebook_size is {codebook_size}; expected 2 to 2 ** {_MAX_BITS}")
    return (codebook_size - 1).bit_length()


def pack_codes(codes: Int[Tensor, "*grid"], bits: int) -> UInt8[Tensor, " bytes"]:
    """Codes below 2 ** bits one after the other without gaps, the lowest bit first; the last byte is filled
    with zeros."""
    flat = codes.flatten().cpu().numpy()
    packed = []
    for start in range(0, len(flat), _CODES_AT_ONCE):
        part = flat[start : start + _CODES_AT_ONCE]
        every_bit = np.stack([(part >> bit & 1).astype(np.uint8) for bit in range(bits)], axis=1)
        packed.append(np.packbits(every_bit, bitorder="little"))
    return torch.from_numpy(np.concatenate(packed))


def unpack_codes(packed: UInt8[Tensor, " bytes"], count: int, bits: int) -> Int[Tensor, " count"]:
    """The first `count` codes: the inverse of `pack_codes`."""
    codes = np.zeros(count, dtype=np.int64)
    for start in range(0, count, _CODES_AT_ONCE):
        part = codes[start : start + _CODES_AT_ONCE]
        of_part = packed[start * bits // 8 :].numpy()
        every_bit = np.unpackbits(of_part, count=len(part) * bits, bitorder="little").reshape(-1, bits)
        for bit in range(bits):
            part |= every_bit[:, bit].astype(np.int64) << bit
    return torch.from_numpy(codes)


class _Counted:
    """Counts what was iterated over."""

    def __init__(self, frames: Iterable[Tensor]):
        self.frames, self.count = frames, 0

    def __iter__(self) -> Iterator[Tensor]:
        for frame in self.frames:
            self.count += 1
            yield frame


def _padded(
    tokenizer: VideoCodec, frames: _Counted, at_once: int
) -> Iterator[Float[Tensor, "1 3 _ padded_height padded_width"]]:
    """Chunks of pixels, larger by repeated edges and at the end by the repeated last frame, where the
    tokenizer is."""
    held: list[Tensor] = []
    for frame in frames:
        if len(held) == at_once:
            yield _pixels(tokenizer, held)
            held = []
        held.append(frame)
    whole, _, _ = padded_size(tokenizer, frames.count, *held[-1].shape[:2])
    held += held[-1:] * (whole - frames.count)
    for start in range(0, len(held), at_once):
        yield _pixels(tokenizer, held[start : start + at_once])


def _pixels(
    tokenizer: VideoCodec, frames: list[Tensor]
) -> Float[Tensor, "1 3 frames padded_height padded_width"]:
    pixels = pixels_from_frames(torch.stack(frames)[None].to(_device(tokenizer)))
    height, width = frames[0].shape[:2]
    _, padded_height, padded_width = padded_size(tokenizer, 1, height, width)
    margins = (0, padded_width - width, 0, padded_height - height, 0, 0)
    return F.pad(pixels, margins, mode="replicate")


def _at_once(frames: int, height: int, width: int) -> int:
    """So many frames, or as many as have together the pixels of four of full HD."""
    return max(1, min(frames, _PIXELS_AT_ONCE // (height * width)))


def _check_chunk(size: int) -> None:
    if size < 1:
        raise ValueError(f"a chunk of {size} is too small; expected at least 1")


def _device(tokenizer: VideoCodec) -> torch.device:
    return next(tokenizer.parameters()).device


def _checksum(metadata: Mapping[str, str], packed: UInt8[Tensor, " bytes"]) -> str:
    """SHA-256 of what the header says and of the codes."""
    said = sorted((name, value) for name, value in metadata.items() if name != "sha256")
    digest = hashlib.sha256(json.dumps(said).encode())
    digest.update(packed.numpy().tobytes())
    return digest.hexdigest()


def _numbers(text: str, count: int) -> list[int]:
    """`count` numbers of a few digits, separated by blanks."""
    numbers = text.split(" ")
    if len(numbers) != count or not all(re.fullmatch("[1-9][0-9]{0,9}", number) for number in numbers):
        raise ValueError(f"it says {text[:40]!r}; expected {count} positive numbers")
    return [int(number) for number in numbers]
