"""Encode and decode the sound of a file by the audio codec of a model folder; prints bit rate and quality.

videolm audio reconstruct IN OUT.wav --model DIR
"""

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..data.media.clip import Clip, write_clip
from ..data.media.reading import read_clip, read_waveform
from ..data.media.streams import MediaError
from ..data.media.targets import check_target
from ..data.media.waveform import fit_length
from ..data.media.writing import SOUNDLESS
from ..tokenizers.audio.codec import AudioTokenizer
from ..tokenizers.audio.protocol import AudioCodec, load_audio_tokenizer
from ..tokenizers.audio.stream import is_streamable
from .audio_scores import bits_per_second
from .metrics.sound_quality import sound_quality

_SECONDS_AT_ONCE = 10


def reconstruct_sound(source: Path, target: Path, model: Path) -> Path:
    """Encode and decode the sound of a file.

    Args:
        source: any media file with sound.
        target: a .wav for the sound alone (mixed to mono), or an .mp4 or .webm that keeps the pictures.

    Raises:
        FileNotFoundError: if the source, the target's folder or the codec is missing.
        ValueError: if the source has no sound or, for a film, no pictures, or the target cannot hold sound.
    """
    check_target(target)
    if target.suffix.lower() in SOUNDLESS:
        raise ValueError(f"{target.name} would hold no sound; expected a suffix of .wav .mp4 .webm")
    codec = load_audio_tokenizer(model / "audio_tokenizer")
    clip = _read(source, codec.sample_rate, has_pictures=target.suffix.lower() != ".wav")
    assert clip.waveform is not None
    codes, decoded = round_trip(codec, clip.waveform)
    print(_described(codec, codes, clip.waveform))
    print(_quality(decoded, clip.waveform, codec.sample_rate))
    write_clip(replace(clip, waveform=decoded), target)
    return target


@torch.no_grad()
def round_trip(
    codec: AudioCodec, waveform: Float[Tensor, "1 samples"]
) -> tuple[Int[Tensor, "levels frames"], Float[Tensor, "1 samples"]]:
    """Codes of a sound of any length, and what they decode to, as long as the sound.

    The last hop is padded with silence. A causal codec takes the sound in parts, so that only the samples
    themselves need more memory for a longer sound.
    """
    hops = -(-waveform.shape[1] // codec.hop_length)
    whole = fit_length(waveform, hops * codec.hop_length)[None]
    if isinstance(codec, AudioTokenizer) and is_streamable(codec.encodec):
        encoder, decoder = codec.encoder_stream(), codec.decoder_stream()
        parts = [encoder.push(part) for part in whole.split(_SECONDS_AT_ONCE * codec.sample_rate, dim=-1)]
        codes, decoded = torch.cat(parts, dim=-1), torch.cat([decoder.push(part) for part in parts], dim=-1)
    else:
        codes = codec.encode(whole)
        decoded = codec.decode(codes)
    return codes[0], fit_length(decoded[0], waveform.shape[1])


def _read(source: Path, sample_rate: int, has_pictures: bool) -> Clip:
    if not has_pictures:
        waveform, _ = read_waveform(source, sample_rate=sample_rate, channels=1)
        return Clip(torch.zeros(0, 1, 1, 3, dtype=torch.uint8), 1.0, waveform, sample_rate)
    clip = read_clip(source, sample_rate=sample_rate, channels=1)
    if clip.waveform is None:
        raise MediaError(f"{source}: it has no sound")
    return clip


def _described(codec: AudioCodec, codes: Int[Tensor, "levels frames"], waveform: Tensor) -> str:
    latents = codec.sample_rate / codec.hop_length
    return (
        f"{waveform.shape[1] / codec.sample_rate:.2f} s at {codec.sample_rate:,} Hz\n"
        f"{len(codes)} levels of {latents:g} codes a second, {bits_per_second(codec):,.0f} bits per second"
    )


def _quality(decoded: Tensor, real: Tensor, sample_rate: int) -> str:
    quality = sound_quality(decoded, real, sample_rate)
    ratio = quality["si_sdr_db"]
    said = "no SI-SDR, the sound is silent" if ratio is None else f"SI-SDR {ratio:.2f} dB"
    return f"{said}, log-mel distance {quality['log_mel_db']:.2f} dB"
