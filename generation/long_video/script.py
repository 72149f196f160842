"""The script of a long video: lines of text, and the segments that are generated from them.

A script is a text file with one line for each segment, or JSONL (or a table) that says how long each holds:

    {"text": "a red ball falls and bounces", "seconds": 4}
    {"text": "a red ball spins", "seconds": 2.5}
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from ...data.codes.clip_format import ClipFormat
from ...data.media.timing import whole_frames
from ..prompt_lines import Record, number_of, read_records

MOST_SECONDS = 3600.0  # all of a long video is held in memory


@dataclass(frozen=True)
class Line:
    """What is to be seen, and for how long; None is one segment."""

    text: str
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("a line of the script has no text")
        if self.seconds is not None and not 0 < self.seconds <= MOST_SECONDS:
            raise ValueError(f"a line lasts {self.seconds:g} s; expected up to {MOST_SECONDS:g}")


@dataclass(frozen=True)
class Segment:
    """What one run of the model adds.

    Args:
        number: from 0.
        first: the first new frame of the long video.
        text: what is to be seen; None leaves it to the model.
        given: frames before the new ones that the model is shown.
    """

    number: int
    first: int
    text: str | None
    given: int


def read_script(path: Path) -> list[Line]:
    """The lines of a script.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it has no lines, or one that is none.
    """
    lines = [_line(record) for record in read_records(path, ("text", "seconds"))]
    if not lines:
        raise ValueError(f"{path} is empty; expected a text a line")
    return lines


def plan(
    lines: Sequence[Line], clips: ClipFormat, *, given: int, seconds: float | None, first: int = 0
) -> tuple[list[Segment], int]:
    """The segments of a long video, and its frames: the last segment may reach beyond them.

    A line holds for as many segments as begin before its time is over; the last one holds until the end.

    Args:
        clips: that the model makes.
        given: frames that a segment is shown, if there are so many.
        seconds: of the whole; None is as long as the lines.
        first: frames that are there already.

    Raises:
        ValueError: if there is nothing to make, or a line is over before a segment of its own begins.
    """
    total = _total(lines, seconds, clips.fps, first)
    most = inf if total is None else total
    segments: list[Segment] = []
    made, until = first, float(first)

    def extend(text: str | None, until: float) -> None:
        nonlocal made
        while made < min(until, most):
            shown = min(given, whole_frames(made, clips.temporal_stride)) if made else 0
            segments.append(Segment(len(segments), made, text, shown))
            made += clips.num_frames - shown

    for number, line in enumerate(lines, start=1):
        until = made + 1.0 if line.seconds is None else until + line.seconds * clips.fps
        if until <= made < most:
            adds = (clips.num_frames - given) / clips.fps
            raise ValueError(
                f"line {number} of the script lasts {line.seconds:g} s and is over before a segment begins; "
                f"a segment adds {adds:g} s"
            )
        extend(line.text, until)
        until = float(made) if line.seconds is None else until
    extend(lines[-1].text if lines else None, most if total is not None else until)
    return segments, round(until) if total is None else total


def _total(lines: Sequence[Line], seconds: float | None, fps: float, first: int) -> int | None:
    """Frames of the whole, if they are said."""
    if seconds is None:
        if not lines:
            raise ValueError("nothing says how long the video is to be; give its seconds or a script")
        if sum(line.seconds or 0.0 for line in lines) > MOST_SECONDS:
            raise ValueError(f"the lines of the script last longer than {MOST_SECONDS:g} s in all")
        return None
    if not 0 < seconds <= MOST_SECONDS:
        raise ValueError(f"seconds is {seconds:g}; expected more than 0, at most {MOST_SECONDS:g}")
    total = max(round(seconds * fps), 1)
    if total <= first:
        raise ValueError(f"the given video lasts {first / fps:g} s already; expected more seconds than that")
    return total


def _line(record: Record) -> Line:
    text, seconds = record.fields.get("text"), record.fields.get("seconds")
    if record.is_table and seconds is not None:
        seconds = number_of(seconds, float, "seconds", record.where)
    if not isinstance(text, str) or not (seconds is None or type(seconds) in (int, float)):
        expected = 'an object such as {"text": "a red ball bounces", "seconds": 4}'
        raise ValueError(f"{record.where} says {record.fields}; expected {expected}")
    try:
        return Line(text.strip(), None if seconds is None else float(seconds))
    except ValueError as error:
        raise ValueError(f"{record.where}: {error}") from None
