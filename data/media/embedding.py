"""A clip inside a page of HTML: a film or picture in the page's own text, which needs no file beside it."""

from base64 import b64encode
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from jaxtyping import Float
from torch import Tensor

from .writing import Frames, write_media

_LEAST_WIDTH = 192  # pixels on the page; smaller clips are enlarged without smoothing


def embedded(
    frames: Frames,
    fps: float,
    waveform: Float[Tensor, "channels samples"] | None = None,
    sample_rate: int | None = None,
    caption: str | None = None,
) -> str:
    """A figure with the clip as a film that plays, or as a picture if it has one frame and no sound.

    Args:
        frames, fps, waveform, sample_rate: as `write_media`.
        caption: plain text below it.
    """
    is_picture = len(frames) == 1 and waveform is None
    with TemporaryDirectory() as place:
        path = Path(place, "clip.png" if is_picture else "clip.mp4")
        write_media(path, frames, fps, waveform, sample_rate)
        data = b64encode(path.read_bytes()).decode()
    style = f'style="width: {max(frames.shape[2], _LEAST_WIDTH)}px; image-rendering: pixelated"'
    if is_picture:
        shown = f'<img {style} alt="{escape(caption or "")}" src="data:image/png;base64,{data}">'
    else:
        switches = "controls loop" if waveform is not None else "controls loop autoplay muted"
        shown = f'<video {style} {switches} src="data:video/mp4;base64,{data}"></video>'
    words = "" if caption is None else f"<figcaption>{escape(caption)}</figcaption>"
    return f"<figure>{shown}{words}</figure>"
