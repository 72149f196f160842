"""The tokenizers of a model folder as a codec; the folder needs no language model.

videolm tokenizer reconstruct IN OUT --model DIR        encodes and decodes, prints bit rate and quality
videolm tokenizer encode IN OUT.codes --model DIR       encodes
videolm tokenizer decode IN.codes OUT --model DIR       decodes
"""

from dataclasses import replace
from pathlib import Path

import torch

from ..data.media.clip import Clip, write_clip
from ..data.media.reading import read_clip
from ..data.media.targets import check_target
from ..tokenizers.audio.protocol import AudioCodec, load_audio_tokenizer
from ..tokenizers.video.clip_codes import SUFFIX, ClipCodes, decode_clip, encode_clip, padded_size
from ..tokenizers.video.protocol import VideoCodec, load_video_tokenizer
from ..tokenizers.video.tiling import TiledVideoTokenizer
from .metrics.reconstruction import frame_quality, worst


def reconstruct_file(source: Path, target: Path, model: Path, tile: int = 0) -> Path:
    """Encode and decode a file's pictures, and its sound where the folder has an audio tokenizer.

    Args:
        tile: height and width of the tiles that large frames go through in, overlapping by a quarter (in
            whole codes); 0 takes frames as a whole.
    """
    check_target(target)
    tokenizer = load_video_tokenizer(model / "video_tokenizer")
    if tile:
        stride = tokenizer.spatial_stride
        tokenizer = TiledVideoTokenizer(tokenizer, tile, overlap=tile // 4 // stride * stride)
    clip = read_clip(source)
    codes = encode_clip(tokenizer, clip)
    result = replace(clip, frames=decode_clip(tokenizer, codes).frames)
    if (model / "audio_tokenizer").is_dir() and clip.waveform is not None:
        result = _with_sound(load_audio_tokenizer(model / "audio_tokenizer"), result)
    print(_described(tokenizer, codes))
    print(_quality(clip, result))
    write_clip(result, target)
    return target


def encode_file(source: Path, target: Path, model: Path) -> Path:
    """Write the codes of a file's pictures.

    Raises:
        FileNotFoundError: if the source, the target's folder or the tokenizer is missing.
        ValueError: if the target is a folder or no .codes file, or the source cannot be read.
    """
    check_target(target, (SUFFIX,))
    tokenizer = load_video_tokenizer(model / "video_tokenizer")
    codes = encode_clip(tokenizer, read_clip(source))
    codes.save(target)
    print(_described(tokenizer, codes))
    print(f"{target.stat().st_size:,} bytes")
    return target


def decode_file(source: Path, target: Path, model: Path) -> Path:
    """Write the pictures of a file of codes.

    Raises:
        FileNotFoundError: if the source, the target's folder or the tokenizer is missing.
        ValueError: if the source holds no codes of this tokenizer, or the target names no format.
    """
    check_target(target)
    codes = ClipCodes.load(source)
    tokenizer = load_video_tokenizer(model / "video_tokenizer")
    write_clip(decode_clip(tokenizer, codes), target)
    print(_described(tokenizer, codes))
    return target


def _described(tokenizer: VideoCodec, codes: ClipCodes) -> str:
    """Size and cost of a clip, and what it was padded to."""
    size = (codes.num_frames, codes.height, codes.width)
    padded = padded_size(tokenizer, *size)
    padding = f", padded to {_size(padded)}" if padded != size else ""
    cost = f"{codes.bits_per_pixel:.4f} bits per pixel, {codes.kilobits_per_second:,.2f} kbit/s"
    return f"{_size(size)} at {codes.fps:g} fps{padding}\n{cost}"


def _size(size: tuple[int, int, int]) -> str:
    return f"{size[0]} frame{'s' if size[0] > 1 else ''} of {size[1]}x{size[2]}"


def _quality(clip: Clip, result: Clip) -> str:
    """Mean and worst frame of PSNR and SSIM, of the clip as it was before padding."""
    shown = {"psnr_db": "PSNR {:.2f} dB (worst frame {:.2f})", "ssim": "SSIM {:.4f} (worst frame {:.4f})"}
    values = frame_quality(clip.frames, result.frames)
    return ", ".join(shown[name].format(each.mean(), worst(name, each)) for name, each in values.items())


@torch.inference_mode()
def _with_sound(tokenizer: AudioCodec, clip: Clip) -> Clip:
    clip = clip.resampled(tokenizer.sample_rate, channels=1)
    assert clip.waveform is not None
    samples = clip.waveform.shape[1]
    whole = -(-samples // tokenizer.hop_length) * tokenizer.hop_length
    waveform = tokenizer.decode(tokenizer.encode(clip.sound(whole)[None]))[0]
    return replace(clip, waveform=waveform[:, :samples])
