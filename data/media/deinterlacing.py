"""Interlaced frames made whole by FFmpeg's bwdif, one frame for every frame, as players do."""

from collections.abc import Callable, Iterable, Iterator

import av
from av.error import BlockingIOError as NoneYet
from av.error import EOFError as AtEnd
from av.filter import Graph

# The filter reads lines and columns above and below.
_LEAST_SIZE = 3


def deinterlaced(frames: Iterable[av.VideoFrame], started: Callable[[], None]) -> Iterator[av.VideoFrame]:
    """The same frames; from the first that is interlaced on they go through the filter.

    It leaves those alone that are not marked as interlaced.

    Args:
        started: is called when that begins: from then on each frame needs the one after it.
    """
    graph, kind = None, None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if _kind(frame) != kind:
            if graph is None:
                started()
            else:
                yield from _filtered(graph, None)
            graph, kind = None, _kind(frame)
            if min(frame.height, frame.width) >= _LEAST_SIZE:
                graph = _graph(frame)
        yield from [frame] if graph is None else _filtered(graph, frame)
    if graph is not None:
        yield from _filtered(graph, None)


def _kind(frame: av.VideoFrame) -> tuple[int | str, ...]:
    return frame.height, frame.width, frame.format.name, frame.colorspace, frame.color_range


def _graph(frame: av.VideoFrame) -> Graph:
    height, width, name, colorspace, color_range = _kind(frame)
    graph = Graph()
    source = graph.add(
        "buffer",
        video_size=f"{width}x{height}",
        pix_fmt=str(name),
        time_base=str(frame.time_base or "1/25"),
        pixel_aspect="1/1",
        colorspace=str(colorspace),
        range=str(color_range),
    )
    filter_, sink = graph.add("bwdif", mode="send_frame", deint="interlaced"), graph.add("buffersink")
    graph.link_nodes(source, filter_, sink).configure()
    return graph


def _filtered(graph: Graph, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
    graph.push(frame)
    while True:
        try:
            yield graph.vpull()
        except (NoneYet, AtEnd):
            return
