"""A clip through the tokenizers of a model folder and back, with or without a language model in it."""

from dataclasses import replace
from pathlib import Path

import torch

from ..data.clip import Clip
from ..data.media import read_clip, write_clip
from ..data.pixels import frames_from_pixels, pixels_from_frames
from ..data.timing import whole_frames
from ..tokenizers.audio import AudioTokenizer
from ..tokenizers.video import VideoTokenizer
from .metrics.reconstruction import psnr
from .output import check_target


def reconstruct_file(source: Path, target: Path, model: Path) -> Path:
    """Encode and decode a file's pictures, and its sound where the folder has an audio tokenizer."""
    check_target(target)
    tokenizer = VideoTokenizer.from_pretrained(model / "video_tokenizer")
    clip = _whole_blocks(read_clip(source), tokenizer)
    result = replace(clip, frames=_through(tokenizer, clip))
    if (model / "audio_tokenizer").is_dir() and clip.waveform is not None:
        result = _with_sound(AudioTokenizer.from_pretrained(model / "audio_tokenizer"), result)
    quality = psnr(clip.frames, result.frames).mean()
    print(f"{clip.num_frames} frames of {clip.height}x{clip.width}: {quality:.2f} dB")
    write_clip(result, target)
    return target


def _whole_blocks(clip: Clip, tokenizer: VideoTokenizer) -> Clip:
    """The clip cut to what the tokenizer takes; says so."""
    stride = tokenizer.spatial_stride
    height, width = clip.height // stride * stride, clip.width // stride * stride
    if not height or not width:
        raise ValueError(f"frames are {clip.height}x{clip.width}; expected at least {stride}x{stride}")
    frames = whole_frames(clip.num_frames, tokenizer.temporal_stride)
    if (frames, height, width) != (clip.num_frames, clip.height, clip.width):
        print(
            f"cut from {clip.num_frames} frames of {clip.height}x{clip.width} "
            f"to {frames} of {height}x{width}, whole blocks of the tokenizer"
        )
    return clip.window(0, frames).resized(height, width)


@torch.inference_mode()
def _through(tokenizer: VideoTokenizer, clip: Clip) -> torch.Tensor:
    codes = tokenizer.encode(pixels_from_frames(clip.frames[None]))
    return frames_from_pixels(tokenizer.decode(codes))[0]


@torch.inference_mode()
def _with_sound(tokenizer: AudioTokenizer, clip: Clip) -> Clip:
    clip = clip.resampled(tokenizer.sample_rate, channels=1)
    assert clip.waveform is not None
    samples = clip.waveform.shape[1]
    whole = -(-samples // tokenizer.hop_length) * tokenizer.hop_length
    waveform = tokenizer.decode(tokenizer.encode(clip.sound(whole)[None]))[0]
    return replace(clip, waveform=waveform[:, :samples])
