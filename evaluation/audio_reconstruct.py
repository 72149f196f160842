"""Encode and decode the sound of a file by the audio codec of a model folder; prints bit rate and quality.

videolm audio reconstruct IN OUT.wav --model DIR
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..data.media.probe import probe_header
from ..data.media.reading import read_waveform, stream_frames
from ..data.media.sound import Sound, read_sound
from ..data.media.streams import MediaError
from ..data.media.targets import check_target
from ..data.media.waveform import fit_length
from ..data.media.writing import SOUNDLESS, write_stream
from ..tokenizers.audio.codec import AudioTokenizer
from ..tokenizers.audio.protocol import AudioCodec, load_audio_tokenizer
from ..tokenizers.audio.stream import is_streamable
from ..tokenizers.gathering import gather
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
    if target.suffix.lower() == ".wav":
        waveform, _ = read_waveform(source, sample_rate=codec.sample_rate, channels=1)
        decoded = _coded(codec, waveform)
        write_stream(target, (), 1.0, Sound([decoded], codec.sample_rate))
        return target
    with stream_frames(source) as pictures:
        num_frames = round(probe_header(source).seconds * pictures.fps) or 1
        fps, rate = float(pictures.fps), codec.sample_rate
        waveform, _ = read_sound(source, pictures.begin, num_frames, fps, rate, 1)
        if waveform is None:
            raise MediaError(f"{source}: it has no sound")
        decoded = _coded(codec, waveform)
        write_stream(target, pictures.frames, fps, Sound([decoded], rate))
    return target


def _coded(codec: AudioCodec, waveform: Float[Tensor, "1 samples"]) -> Float[Tensor, "1 samples"]:
    """The sound after coding and decoding; what that costs is printed."""
    codes, decoded = round_trip(codec, waveform)
    print(_described(codec, codes, waveform))
    print(_quality(decoded, waveform, codec.sample_rate))
    return decoded


def round_trip(
    codec: AudioCodec, waveform: Float[Tensor, "1 samples"]
) -> tuple[Int[Tensor, "levels frames"], Float[Tensor, "1 samples"]]:
    """Codes of a sound of any length, and what they decode to, as long as the sound.

    The last hop is padded with silence. A causal codec takes the sound in parts, so that only the samples
    themselves need more memory for a longer sound.
    """
    codes, num_samples = encode_sound(codec, [waveform])
    return codes, torch.cat(list(decode_sound(codec, codes, num_samples)), dim=-1)


@torch.no_grad()
def encode_sound(
    codec: AudioCodec, pieces: Iterable[Float[Tensor, "1 _"]]
) -> tuple[Int[Tensor, "levels frames"], int]:
    """Codes of a sound that comes in pieces, and its number of samples.

    The last hop is padded with silence. A causal codec takes the pieces as they come, another all of them.
    """
    if not (isinstance(codec, AudioTokenizer) and is_streamable(codec.encodec)):
        waveform = torch.cat(list(pieces), dim=1)
        hops = -(-waveform.shape[1] // codec.hop_length)
        return codec.encode(fit_length(waveform, hops * codec.hop_length)[None])[0], waveform.shape[1]
    encoder, num_samples = codec.encoder_stream(), 0

    def pushed() -> Iterator[Int[Tensor, "1 levels _"]]:
        nonlocal num_samples
        for piece in pieces:
            num_samples += piece.shape[1]
            for part in piece.split(_SECONDS_AT_ONCE * codec.sample_rate, dim=1) if piece.shape[1] else ():
                yield encoder.push(part[None])
        if encoder.pending:
            yield encoder.push(torch.zeros(1, 1, codec.hop_length - encoder.pending))

    return gather(pushed(), dim=-1)[0], num_samples


def decode_sound(
    codec: AudioCodec, codes: Int[Tensor, "levels frames"], num_samples: int
) -> Iterator[Float[Tensor, "1 _"]]:
    """The sound of codes, cut to its number of samples; of a causal codec in parts."""
    if isinstance(codec, AudioTokenizer) and is_streamable(codec.encodec):
        decoder = codec.decoder_stream()
        hops = _SECONDS_AT_ONCE * codec.sample_rate // codec.hop_length
        decoded = (decoder.push(part[None])[0] for part in codes.split(hops, dim=1))
    else:
        with torch.no_grad():
            decoded = iter([codec.decode(codes[None])[0]])
    for part in decoded:
        yield part[:, :num_samples]
        num_samples -= min(num_samples, part.shape[1])


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
