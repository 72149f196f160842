"""The tokenizers of a model folder as a codec; the folder needs no language model.

videolm tokenizer reconstruct IN OUT --model DIR        encodes and decodes, prints bit rate and quality
videolm tokenizer encode IN OUT.codes --model DIR       encodes
videolm tokenizer decode IN.codes OUT --model DIR       decodes
"""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..data.codes.trained_clips import ClipSize, TrainedClips
from ..data.media.kept_sound import kept_sound
from ..data.media.reading import FrameStream, stream_frames
from ..data.media.sound import Sound, stream_sound
from ..data.media.streams import MediaError
from ..data.media.targets import check_target
from ..data.media.writing import SOUNDLESS, write_stream
from ..data.runtime.notes import notify
from ..tokenizers.audio.protocol import load_audio_tokenizer
from ..tokenizers.video.clip_codes import SUFFIX, ClipCodes, decode_frames, encode_frames, padded_size
from ..tokenizers.video.protocol import VideoCodec, load_video_tokenizer
from ..tokenizers.video.tiling import TiledVideoTokenizer
from .audio_reconstruct import decode_sound, encode_sound
from .metrics.reconstruction import frame_quality


def reconstruct_file(
    source: Path, target: Path, model: Path, tile: int = 0, size: ClipSize | None = None
) -> Path:
    """Encode and decode a file's pictures, and its sound where the folder has an audio tokenizer.

    A film is read twice, as it is coded and as it is compared, and never held as a whole.

    Args:
        tile: height and width of the tiles that large frames go through in, overlapping by a quarter (in
            whole codes); 0 takes frames as a whole.
        size: of the frames, and their rate. What is not given is as the tokenizer was trained; as in the file
            where the tokenizer does not say, or frames go through in tiles.
    """
    check_target(target)
    tokenizer = load_video_tokenizer(model / "video_tokenizer")
    reading = _reading(size or ClipSize(), model / "video_tokenizer", keep=bool(tile))
    if tile:
        stride = tokenizer.spatial_stride
        tokenizer = TiledVideoTokenizer(tokenizer, tile, overlap=tile // 4 // stride * stride)
    with stream_frames(source, **reading) as pictures:
        codes = encode_frames(tokenizer, pictures.frames, float(pictures.fps))
    quality = _Quality()
    again = stream_frames(source, **reading)
    with _sound(source, target, model, pictures, codes.num_frames) as sound, again as originals:
        frames = quality.watch(originals.frames, decode_frames(tokenizer, codes))
        write_stream(target, frames, codes.fps, sound)
        deque(frames, maxlen=0)  # a .wav takes none
    print(_described(tokenizer, codes))
    print(quality)
    return target


def encode_file(source: Path, target: Path, model: Path) -> Path:
    """Write the codes of a file's pictures, which are never held as a whole.

    Raises:
        FileNotFoundError: if the source, the target's folder or the tokenizer is missing.
        ValueError: if the target is a folder or no .codes file, or the source cannot be read.
    """
    check_target(target, (SUFFIX,))
    tokenizer = load_video_tokenizer(model / "video_tokenizer")
    with stream_frames(source) as pictures:
        codes = encode_frames(tokenizer, pictures.frames, float(pictures.fps))
    codes.save(target)
    print(_described(tokenizer, codes))
    print(f"{target.stat().st_size:,} bytes")
    return target


def decode_file(source: Path, target: Path, model: Path) -> Path:
    """Write the pictures of a file of codes; a film is written as it is decoded.

    Raises:
        FileNotFoundError: if the source, the target's folder or the tokenizer is missing.
        ValueError: if the source holds no codes of this tokenizer, or the target names no format.
    """
    check_target(target)
    codes = ClipCodes.load(source)
    tokenizer = load_video_tokenizer(model / "video_tokenizer")
    frames = (frame for chunk in decode_frames(tokenizer, codes) for frame in chunk)
    write_stream(target, frames, codes.fps)
    print(_described(tokenizer, codes))
    return target


def _reading(size: ClipSize, tokenizer: Path, keep: bool) -> dict[str, Any]:
    """How a file is read: the settings of `stream_frames`.

    Args:
        keep: read what is not given as it is in the file, whatever the tokenizer was trained on.
    """
    if keep or TrainedClips.load(tokenizer) is None:
        return {"height": size.height, "width": size.width, "fps": size.fps}
    chosen = size.of(tokenizer)
    return {"height": chosen.height, "width": chosen.width, "fps": chosen.fps}


def _described(tokenizer: VideoCodec, codes: ClipCodes) -> str:
    """Size and cost of a clip, and what it was padded to."""
    size = (codes.num_frames, codes.height, codes.width)
    padded = padded_size(tokenizer, *size)
    padding = f", padded to {_size(padded)}" if padded != size else ""
    cost = f"{codes.bits_per_pixel:.4f} bits per pixel, {codes.kilobits_per_second:,.2f} kbit/s"
    return f"{_size(size)} at {codes.fps:g} fps{padding}\n{cost}"


def _size(size: tuple[int, int, int]) -> str:
    return f"{size[0]} frame{'s' if size[0] > 1 else ''} of {size[1]}x{size[2]}"


class _Quality:
    """Mean and worst frame of PSNR and SSIM, of the clip as it was before padding."""

    def __init__(self) -> None:
        self.num_frames = 0
        self.sums: dict[str, float] = {}
        self.worst: dict[str, float] = {}

    def watch(
        self, real: Iterable[UInt8[Tensor, "height width 3"]], chunks: Iterable[Tensor]
    ) -> Iterator[UInt8[Tensor, "height width 3"]]:
        """The frames of the chunks, compared with the real ones on the way."""
        originals = iter(real)
        for chunk in chunks:
            original = torch.stack([next(originals) for _ in chunk])
            self.num_frames += len(chunk)
            for name, values in frame_quality(original, chunk).items():
                self.sums[name] = self.sums.get(name, 0.0) + float(values.double().sum())
                self.worst[name] = min(self.worst.get(name, inf), float(values.min()))
            yield from chunk

    def __str__(self) -> str:
        shown = {
            "psnr_db": "PSNR {:.2f} dB (worst frame {:.2f})",
            "ssim": "SSIM {:.4f} (worst frame {:.4f})",
        }
        return ", ".join(
            shown[name].format(total / self.num_frames, self.worst[name]) for name, total in self.sums.items()
        )


@contextmanager
def _sound(
    source: Path, target: Path, model: Path, pictures: FrameStream, num_frames: int
) -> Iterator[Sound | None]:
    """The sound of the pictures, through the codec if there is one; None where there is or fits none."""
    has_codec = (model / "audio_tokenizer").is_dir()
    if not has_codec or not pictures.may_sound or target.suffix.lower() in SOUNDLESS:
        with kept_sound(source, target, pictures, num_frames) as sound:
            yield sound
        return
    codec, coded = load_audio_tokenizer(model / "audio_tokenizer"), None
    wanted = {"sample_rate": codec.sample_rate, "channels": 1}
    try:
        with stream_sound(source, pictures.begin, num_frames, float(pictures.fps), **wanted) as sound:
            if sound is not None:
                coded = encode_sound(codec, sound.pieces)
    except MediaError as error:
        notify(f"{error}; the film is written without its sound")
    yield None if coded is None else Sound(decode_sound(codec, *coded), codec.sample_rate)
