"""Frames and sound into files: films, loops, pictures and sound, by the suffix of the name."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from ..runtime.files import replacing
from ..runtime.notes import notify
from .film_writing import MKV, MP4, WEBM, write_film
from .gif_writing import write_gif
from .pictures import collect
from .sound import Sound, mixed_down
from .streams import DEFAULT_LIMITS
from .timing import exact_rate
from .waveform import write_wav

Frames = UInt8[Tensor, "frames height width 3"]

_FILMS = {".mp4": MP4, ".webm": WEBM, ".mkv": MKV}
# Suffixes of the files that can be written; those of them that hold no sound.
WRITABLE = (*_FILMS, ".gif", ".png", ".wav")
SOUNDLESS = (".gif", ".png")


def write_media(
    path: str | Path,
    frames: Frames,
    fps: float,
    waveform: Float[Tensor, "channels samples"] | None = None,
    sample_rate: int | None = None,
) -> None:
    """Write pictures and sound to a file, of which nothing is seen before it is complete.

    The suffix names the format: .mp4 (H.264 and AAC) and .webm (VP9 and Opus) play in browsers, .mkv (RGB in
    H.264, and FLAC) gives back every pixel as it was, .gif loops and has no sound, .png is the picture of a
    clip of one frame, .wav is the sound alone. An .mp4 wants even sizes: it repeats the last row or column of
    an odd one. In films sound of more than two channels is mixed down by ITU-R BS.775; a warning says so.

    Args:
        frames: bytes 0..255, RGB.
        waveform: samples in [-1, 1], starting with the first frame; with it the sample rate.

    Raises:
        FileNotFoundError: if the folder to write to is not there.
        ValueError: if the suffix is unknown or the clip does not fit the format.
    """
    sound = None
    if waveform is not None and sample_rate is not None:
        if Path(path).suffix.lower() in _FILMS and len(waveform) > 2:
            notify(f"sound of {len(waveform)} channels is mixed down to 2")
            waveform = mixed_down(waveform)
        sound = Sound([waveform], sample_rate)
    write_stream(path, frames, fps, sound)


def write_stream(
    path: str | Path,
    frames: Iterable[UInt8[Tensor, "height width 3"]],
    fps: float,
    sound: Sound | None = None,
) -> None:
    """As `write_media`, of frames and sound that come one after the other.

    A film of any length takes little memory; the other formats hold all of it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise ValueError(f"{path} has suffix {path.suffix!r}; expected one of {', '.join(WRITABLE)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"output folder {path.parent} is not there")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; expected the name of a file to write")
    if suffix == ".wav":
        _write_wav(path, sound)
        return
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise ValueError("the clip has no frames to write")
    frames = chain([first], iterator)
    with replacing(path.absolute()) as temporary:
        if suffix in _FILMS:
            write_film(temporary, frames, fps, sound, _FILMS[suffix])
        elif suffix == ".gif":
            write_gif(temporary, torch.stack(collect(frames, exact_rate(fps), DEFAULT_LIMITS)), fps)
        else:
            _write_png(temporary, frames)


def _write_png(path: Path, frames: Iterable[UInt8[Tensor, "height width 3"]]) -> None:
    first, *more = frames
    if more:
        raise ValueError(f"the clip has {1 + len(more)} frames; a .png holds one, see Clip.window")
    Image.fromarray(first.contiguous().numpy()).save(path, format="png")


def _write_wav(path: Path, sound: Sound | None) -> None:
    if sound is None:
        raise ValueError("the clip has no sound to write into a .wav")
    with replacing(path.absolute()) as temporary:
        write_wav(torch.cat(list(sound.pieces), dim=1), sound.sample_rate, temporary)
