"""Read the sound of media files, placed by its timestamps, and resample it."""

from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import torch
from av.audio.stream import AudioStream
from av.container import InputContainer
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from .decoding import decode_audio
from .streams import Blob, MediaError, decodable, open_media, tick
from .timing import audio_samples
from .waveform import fit_length, place

# Timestamps of sound that are off by less are rounding of the container; following them would be audible.
_JITTER = 0.02
# Seconds that an audio decoder needs before its output is right.
_PREROLL = 0.25


def resample(
    waveform: Float[Tensor, "channels samples"],
    sample_rate: int,
    new_rate: int,
    new_channels: int | None = None,
) -> Float[Tensor, "new_channels new_samples"]:
    """The same sound at another rate and, if given, in another number of channels.

    One channel is repeated; mixing down cannot clip (two channels become their mean).
    """
    channels, num_samples = waveform.shape
    new_channels = new_channels or channels
    if num_samples == 0:
        return waveform.new_zeros(new_channels, 0)
    mixed_channels = 1 if channels == 1 else new_channels
    if (sample_rate, channels) != (new_rate, mixed_channels):
        layout, options = _layout(mixed_channels), {"rematrix_maxval": "1.0"}
        resampler = av.AudioResampler(format="flt", layout=layout, rate=new_rate, options=options)
        pieces = (audio_frame(piece, sample_rate) for piece in waveform.split(2**16, dim=1))
        converted = [frame for piece in chain(pieces, [None]) for frame in resampler.resample(piece)]
        waveform = torch.cat([samples_of(frame) for frame in converted], dim=1)
        waveform = fit_length(waveform, round(num_samples * Fraction(new_rate, sample_rate)))
    return waveform.expand(new_channels, -1).contiguous()


def read_sound(
    media: Path | Blob,
    begin: float,
    num_frames: int,
    fps: float,
    sample_rate: int | None,
    channels: int | None,
) -> tuple[Float[Tensor, "channels samples"] | None, int | None]:
    """The sound of frames that begin at the time `begin` of the file; None if it has none."""
    with open_media(media) as container:
        if not container.streams.audio:
            return None, None
        # What follows the end shapes the last samples when they are resampled.
        waveform, own_rate = decode_sound(container, begin, num_frames / fps + _JITTER)
        sample_rate = sample_rate or own_rate
        waveform = resample(waveform, own_rate, sample_rate, channels)
    return fit_length(waveform, audio_samples(num_frames, fps, sample_rate)), sample_rate


def decode_sound(
    container: InputContainer, begin: float, seconds: float
) -> tuple[Float[Tensor, "channels samples"], int]:
    """At most `seconds` of a container's first audio stream from the time `begin`, and the sample rate.

    Every piece goes where its time says, so sound that sets in late leaves silence, and so does a gap.
    """
    stream = decodable(container.streams.audio[0])
    kind = _sound_kind(stream)
    resampler = av.AudioResampler(format="flt")
    pieces, position, surplus = [], None, 0
    for time, frame in decode_audio(container, stream, begin - _PREROLL, begin + seconds):
        kind = _sound_kind(frame) if position is None else kind
        if _sound_kind(frame) != kind:
            raise MediaError("its sound changes sample rate or channels on the way")
        dated = round((time - begin) * frame.sample_rate)
        if position is None or abs(dated - position) > _JITTER * frame.sample_rate:
            position = dated
        if position >= seconds * frame.sample_rate:
            break
        for converted in resampler.resample(frame):
            if position + converted.samples > 0:
                pieces.append((position, samples_of(converted)))
            position += converted.samples
        surplus = _surplus(frame)
    sample_rate, _, channels = kind
    length = max(0, min((position or 0) - surplus, round(seconds * sample_rate)))
    return place(pieces, channels, length), sample_rate


def _sound_kind(sound: AudioStream | av.AudioFrame) -> tuple[int, str, int]:
    return sound.sample_rate, sound.layout.name, sound.layout.nb_channels


def _surplus(frame: av.AudioFrame) -> int:
    """Samples that fill up a codec's last block, where the container counts single samples and tells."""
    samples_per_tick = tick(frame) * frame.sample_rate
    if not frame.duration or samples_per_tick > 1:
        return 0
    return max(0, frame.samples - round(frame.duration * samples_per_tick))


def _layout(channels: int) -> str:
    """FFmpeg's usual arrangement of so many channels."""
    return f"{channels}c"


def samples_of(frame: av.AudioFrame) -> Float[Tensor, "channels samples"]:
    """The samples of a frame of format "flt", whose channels take turns: of 8 planes PyAV reads beyond."""
    interleaved, channels = torch.from_numpy(frame.to_ndarray()), frame.layout.nb_channels
    return rearrange(interleaved, "1 (samples channels) -> channels samples", channels=channels)


def audio_frame(waveform: Float[Tensor, "channels samples"], sample_rate: int) -> av.AudioFrame:
    channels = waveform.shape[0]
    interleaved = rearrange(waveform, "channels samples -> 1 (samples channels)").contiguous()
    frame = av.AudioFrame.from_ndarray(interleaved.numpy(), "flt", _layout(channels))
    frame.sample_rate = sample_rate
    return frame
