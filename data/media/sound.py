"""Read the sound of media files, placed by its timestamps, and resample it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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

# Samples that are resampled at once.
_AT_ONCE = 2**16
# Where the channels of a sound with so many are: left, right, centre, low frequencies, surround.
_PLACES = {
    3: ("L", "R", "C"),
    4: ("L", "R", "C", "S"),
    5: ("L", "R", "C", "Ls", "Rs"),
    6: ("L", "R", "C", "LFE", "Ls", "Rs"),
    7: ("L", "R", "C", "LFE", "S", "Ls", "Rs"),
    8: ("L", "R", "C", "LFE", "Ls", "Rs", "Ls", "Rs"),
}
# What each adds to left and right (ITU-R BS.775-3, table 2).
_WEIGHTS = {
    "L": (1.0, 0.0),
    "R": (0.0, 1.0),
    "C": (0.5**0.5, 0.5**0.5),
    "LFE": (0.0, 0.0),
    "S": (0.5**0.5, 0.5**0.5),
    "Ls": (0.5**0.5, 0.0),
    "Rs": (0.0, 0.5**0.5),
}
# Timestamps of sound that are off by less are rounding of the container; following them would be audible.
_JITTER = 0.02


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
    if (sample_rate, channels) != (new_rate, 1 if channels == 1 else new_channels):
        waveform = torch.cat(list(resampled([waveform], sample_rate, new_rate, new_channels)), dim=1)
    return waveform.expand(new_channels, -1).contiguous()


def resampled(
    pieces: Iterable[Float[Tensor, "channels _"]],
    sample_rate: int,
    new_rate: int,
    new_channels: int | None = None,
) -> Iterator[Float[Tensor, "new_channels _"]]:
    """As `resample`, of sound that comes in pieces; one channel stays one."""
    resampler, mixed, taken, given = None, 0, 0, 0
    for piece in pieces:
        if resampler is None:
            mixed = 1 if piece.shape[0] == 1 else new_channels or piece.shape[0]
            options = {"rematrix_maxval": "1.0"}
            resampler = av.AudioResampler("flt", _layout(mixed), new_rate, options=options)
        taken += piece.shape[1]
        for part in piece.split(_AT_ONCE, dim=1) if piece.shape[1] else ():
            for frame in resampler.resample(audio_frame(part, sample_rate)):
                given += frame.samples
                yield samples_of(frame)
    if resampler is None:
        return
    left = round(taken * Fraction(new_rate, sample_rate)) - given
    tail = [samples_of(frame) for frame in resampler.resample(None)]
    yield fit_length(torch.cat([torch.zeros(mixed, 0), *tail], dim=1), max(left, 0))


@dataclass(frozen=True, eq=False)
class Sound:
    """Sound in pieces, one after the other."""

    pieces: Iterable[Float[Tensor, "channels _"]]
    sample_rate: int


def mixed_down(waveform: Float[Tensor, "channels samples"]) -> Float[Tensor, "2 samples"]:
    """Surround sound in two channels by ITU-R BS.775-3, table 2; softer where the sum would clip.

    Centre and surround channels are added at -3 dB, the low-frequency effects left out. Channels come in
    FFmpeg's order of layouts with so many: 3.0, 4.0, 5.0, 5.1, 6.1, 7.1; further ones are taken for surround
    channels, left and right in turn.
    """
    places = _PLACES.get(len(waveform), _PLACES[8] + ("Ls", "Rs") * len(waveform))[: len(waveform)]
    weights = torch.tensor([_WEIGHTS[place] for place in places]).T
    mixed = weights @ waveform.float()
    return mixed / max(1.0, float(mixed.abs().max()) if mixed.numel() else 1.0)


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


@contextmanager
def stream_sound(
    media: Path | Blob,
    begin: float,
    num_frames: int,
    fps: float,
    *,
    sample_rate: int | None = None,
    channels: int | None = None,
    max_channels: int | None = None,
) -> Iterator[Sound | None]:
    """As `read_sound`, of a film of any length: the sound comes in pieces, one after the other.

    Args:
        max_channels: sound of more is mixed down to so many.
    """
    with open_media(media) as container:
        if not container.streams.audio:
            yield None
            return
        placed = _placed(container, begin, num_frames / fps + _JITTER)
        first = next(placed, None)
        own_rate, own_channels = _rate_and_channels(container, first)
        rate = sample_rate or own_rate
        channels = channels or min(own_channels, max_channels or own_channels)
        pieces = _flowing(chain([] if first is None else [first], placed), own_channels)
        new = resampled(pieces, own_rate, rate, channels)
        yield Sound(_lasting(new, channels, audio_samples(num_frames, fps, rate)), rate)


def decode_sound(
    container: InputContainer, begin: float, seconds: float
) -> tuple[Float[Tensor, "channels samples"], int]:
    """At most `seconds` of a container's first audio stream from the time `begin`, and the sample rate.

    Every piece goes where its time says, so sound that sets in late leaves silence, and so does a gap.
    """
    pieces = list(_placed(container, begin, seconds))
    sample_rate, channels = _rate_and_channels(container, pieces[0] if pieces else None)
    end = pieces[-1].position + pieces[-1].samples.shape[1] - pieces[-1].surplus if pieces else 0
    length = max(0, min(end, round(seconds * sample_rate)))
    return place(((piece.position, piece.samples) for piece in pieces), channels, length), sample_rate


@dataclass(frozen=True, eq=False)
class _Piece:
    """Decoded sound.

    Args:
        position: of its first sample, counted from the beginning of what is read.
        surplus: samples at its end that only fill up a codec's block.
    """

    position: int
    samples: Float[Tensor, "channels _"]
    surplus: int
    sample_rate: int


def _rate_and_channels(container: InputContainer, first: _Piece | None) -> tuple[int, int]:
    """As the first piece has them; where there is none, as the header says."""
    if first is not None:
        return first.sample_rate, first.samples.shape[0]
    sample_rate, _, channels = _sound_kind(container.streams.audio[0])
    return sample_rate, channels


def _placed(container: InputContainer, begin: float, seconds: float) -> Iterator[_Piece]:
    """Pieces of sound from `begin` on. Sound that changes its rate or channels keeps those of the first."""
    stream = decodable(container.streams.audio[0])
    first, kind, resampler, position = None, None, av.AudioResampler("flt"), None
    for time, frame in decode_audio(container, stream, begin, begin + seconds):
        first = first or _sound_kind(frame)
        sample_rate, layout, _ = first
        if kind is not None and _sound_kind(frame) != kind:
            resampler = av.AudioResampler("flt", layout, sample_rate)
        kind = _sound_kind(frame)
        dated = round((time - begin) * sample_rate)
        if position is None or abs(dated - position) > _JITTER * sample_rate:
            position = dated
        if position >= seconds * sample_rate:
            break
        for converted in resampler.resample(frame):
            piece = samples_of(converted)
            bad = int((~piece.isfinite()).sum())
            if bad:
                raise MediaError(
                    f"its sound has samples that are no finite numbers, {bad} of {piece.numel()}"
                )
            if position + converted.samples > 0:
                yield _Piece(position, piece, _surplus(frame), sample_rate)
            position += converted.samples


def _flowing(placed: Iterable[_Piece], channels: int) -> Iterator[Float[Tensor, "channels _"]]:
    """The pieces one after the other, silence where none is; of what overlaps the first is kept."""
    at = 0
    for piece in placed:
        if piece.position > at:
            yield torch.zeros(channels, piece.position - at)
            at = piece.position
        samples = piece.samples[:, at - piece.position : piece.samples.shape[1] - piece.surplus]
        if samples.shape[1]:
            at += samples.shape[1]
            yield samples


def _lasting(
    pieces: Iterable[Float[Tensor, "channels _"]], channels: int, num_samples: int
) -> Iterator[Float[Tensor, "channels _"]]:
    """The pieces up to so many samples; silence fills up what they lack."""
    left = num_samples
    for piece in pieces:
        yield piece.expand(channels, -1)[:, :left]
        left -= min(left, piece.shape[1])
        if not left:
            return
    while left:
        yield torch.zeros(channels, min(left, _AT_ONCE))
        left -= min(left, _AT_ONCE)


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
