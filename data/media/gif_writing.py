"""Animated .gif files: no sound, one palette of 256 colours for the whole clip."""

from fractions import Fraction
from math import floor
from pathlib import Path

import av
from av.filter import Graph
from jaxtyping import UInt8
from torch import Tensor

from .film_writing import video_frame
from .timing import exact_rate


def write_gif(path: Path, frames: UInt8[Tensor, "frames height width 3"], fps: float) -> None:
    """One palette for the whole clip; times in hundredths of a second, which is how a GIF counts."""
    if fps > 50:
        raise ValueError(f"a .gif has at most 50 frames per second, the clip {fps:g}; see Clip.at_fps")
    num_frames, height, width, _ = frames.shape
    graph = _palette_graph(height, width)
    times = [floor(index * 100 / exact_rate(fps)) for index in range(num_frames + 1)]
    for pixels, time in zip(frames, times, strict=False):
        frame = video_frame(pixels, 0, fps)
        frame.pts, frame.time_base = time, Fraction(1, 100)
        graph.push(frame)
    graph.push(None)
    options = {"loop": "0", "final_delay": str(times[-1] - times[-2])}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("gif", 100)
        stream.height, stream.width, stream.pix_fmt = height, width, "pal8"
        for _ in range(num_frames):
            drawn = graph.pull()
            assert isinstance(drawn, av.VideoFrame)
            container.mux(stream.encode(drawn))
        container.mux(stream.encode(None))


def _palette_graph(height: int, width: int) -> Graph:
    """Finds the 256 best colours of all frames, then draws each frame with them."""
    graph = Graph()
    size = f"{width}x{height}"
    source = graph.add("buffer", video_size=size, pix_fmt="rgb24", time_base="1/100", pixel_aspect="1/1")
    filters = ("split", "palettegen", "paletteuse", "buffersink")
    split, find, draw, sink = (graph.add(name) for name in filters)
    source.link_to(split)
    split.link_to(find, 0, 0)
    split.link_to(draw, 1, 0)
    find.link_to(draw, 0, 1)
    draw.link_to(sink)
    graph.configure()
    return graph
