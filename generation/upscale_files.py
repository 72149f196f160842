"""What `videolm upscale` does: a film of any length enlarged in windows, by the stages of a model folder."""

from pathlib import Path

from ..data.media.kept_sound import kept_sound
from ..data.media.probe import probe_header
from ..data.media.reading import stream_frames
from ..data.media.streams import MediaError
from ..data.media.targets import check_target
from ..data.media.writing import write_stream
from ..data.runtime.device import device_of
from ..data.runtime.progress import progress
from .notes import notes
from .upscaling import Upscaler


def upscale_file(
    source: Path,
    target: Path,
    model: Path,
    *,
    text: str | None = None,
    factor: int = 2,
    seed: int = 0,
    device: str = "auto",
) -> Path:
    """Enlarge a film; its frames are never held as a whole, its sound is kept. The language model is not
    loaded.

    Args:
        model: folder with stages of super-resolution and their tokenizers.

    Raises:
        FileNotFoundError: if the source, the target's folder or a tokenizer is missing.
        ValueError: as `Upscaler.upscale`, or if the files cannot be read or written.
    """
    check_target(target)
    info = probe_header(source)
    if not info.height:
        raise MediaError(f"{source} has sound and no pictures")
    upscaler = Upscaler(model, device_of(device))
    stages = upscaler.load(upscaler.path(info.height, info.width, factor, text))
    with notes():
        with stream_frames(source) as pictures, progress("upscale", 1) as report:
            num_frames, chunks = upscaler.stream(
                pictures.frames, float(pictures.fps), stages, text=text, seed=seed, progress=report
            )
        with kept_sound(source, target, pictures, num_frames) as sound:
            frames = (frame for chunk in chunks for frame in chunk)
            write_stream(target, frames, float(pictures.fps), sound)
    return target
