"""Frames and sound into files: films, loops, pictures and sound, by the suffix of the name."""

from functools import partial
from pathlib import Path

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..runtime.files import replacing
from .film_writing import MP4, WEBM, Frames, Sound, write_film
from .gif_writing import write_gif
from .waveform import write_wav


def _write_png(path: Path, frames: Frames, fps: float, sound: Sound | None) -> None:
    if len(frames) != 1:
        raise ValueError(f"the clip has {len(frames)} frames; a .png holds one, see Clip.window")
    Image.fromarray(frames[0].contiguous().numpy()).save(path)


def _write_wav(path: Path, frames: Frames, fps: float, sound: Sound | None) -> None:
    if sound is None:
        raise ValueError("the clip has no sound to write into a .wav")
    write_wav(sound.waveform, sound.sample_rate, path)


_WRITERS = {
    ".mp4": partial(write_film, film=MP4),
    ".webm": partial(write_film, film=WEBM),
    ".gif": write_gif,
    ".png": _write_png,
    ".wav": _write_wav,
}
# Suffixes of the files that can be written; those of them that hold no sound.
WRITABLE = tuple(_WRITERS)
SOUNDLESS = (".gif", ".png")


def write_media(
    path: str | Path,
    frames: Frames,
    fps: float,
    waveform: Float[Tensor, "channels samples"] | None = None,
    sample_rate: int | None = None,
) -> None:
    """Write pictures and sound to a file, of which nothing is seen before it is complete.

    The suffix names the format: .mp4 (H.264 and AAC) and .webm (VP9 and Opus) play in browsers, .gif
    loops and has no sound, .png is the picture of a clip of one frame, .wav is the sound alone. H.264
    wants even sizes: an .mp4 repeats the last row or column of an odd one.

    Args:
        frames: bytes 0..255, RGB.
        waveform: samples in [-1, 1], starting with the first frame; with it the sample rate.

    Raises:
        FileNotFoundError: if the folder to write to is not there.
        ValueError: if the suffix is unknown or the clip does not fit the format.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise ValueError(f"{path} has suffix {path.suffix!r}; expected one of {', '.join(_WRITERS)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"output folder {path.parent} is not there")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; expected the name of a file to write")
    if not len(frames) and suffix != ".wav":
        raise ValueError("the clip has no frames to write")
    sound = None
    if waveform is not None and sample_rate is not None:
        sound = Sound(waveform, sample_rate)
    with replacing(path.absolute()) as temporary:
        _WRITERS[suffix](temporary, frames, fps, sound)
