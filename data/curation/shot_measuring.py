"""Shots of films and their measures, in workers: any length in constant memory."""

import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..analysis.shots import Frame, ShotMeter, mark_cuts
from ..media.native_frames import NativeFrames, native_frames
from ..media.streams import MediaError, printable
from ..sources.entry import Entry

_SIZE = 64  # height and width of the frames that are measured
_SECONDS_BETWEEN_SIGNS = 1.0
_ROUNDING = 1e-3  # seconds


@dataclass(frozen=True)
class ShotCriteria:
    """What a shot must fulfil to be kept.

    Args:
        min_seconds: its duration.
        min_motion, min_sharpness: as `ShotMeasures` says.
        duplicates: least Hamming distance of its fingerprint to those of all kept shots; 0 keeps copies.
        cuts: whether files are cut into shots at all.
        fps: frames per second at which shots are measured.

    Raises:
        ValueError: if a number is negative.
    """

    min_seconds: float = 0.0
    min_motion: float = 0.0
    min_sharpness: float = 0.0
    duplicates: int = 0
    cuts: bool = True
    fps: float = 8.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0:
                raise ValueError(f"{name} is {value}; expected 0 or more")


class MeasureShots:
    """What runs in a worker: the shots of an entry with their measures.

    Cuts are looked for among all frames that the film has, and a shot ends where the next one begins; what is
    measured of it are its frames at `criteria.fps`, from its own beginning on.
    """

    def __init__(self, entries: Sequence[Entry], criteria: ShotCriteria):
        self.entries, self.criteria = entries, criteria

    def __call__(self, index: int) -> Generator[None, None, dict[str, Any]]:
        """{"shots": […]}, or {"problem": why there are none}; yields while the film is decoded."""
        entry, shots = self.entries[index], list[dict[str, Any]]()
        part = {"start": entry.start or 0.0, "end": entry.end, "height": _SIZE, "width": _SIZE}
        told = time.monotonic()
        try:
            with native_frames(entry.media, **part) as film:
                for shot in self._shots(film):
                    shots += [] if shot is None else [shot]
                    if time.monotonic() - told > _SECONDS_BETWEEN_SIGNS:
                        told = time.monotonic()
                        yield
        except (MediaError, FileNotFoundError) as error:
            return {"problem": str(error)}
        if not shots:
            return {"problem": f"{printable(entry.path)}: it has no pictures in that part"}
        return {"shots": shots}

    def _shots(self, film: NativeFrames) -> Iterator[dict[str, Any] | None]:
        """Each shot when it has ended, and None for each frame."""
        ends: deque[float] = deque()

        def dated() -> Iterator[tuple[float, Frame]]:
            for begin, end, frame in film.frames:
                ends.append(end)
                yield begin, frame

        marked = mark_cuts(dated()) if self.criteria.cuts else ((*each, False) for each in dated())
        shot, end = None, 0.0
        for begin, frame, is_cut in marked:
            if shot is not None and is_cut:
                yield shot.ended(begin - film.slack)
            if shot is None or is_cut:
                shot = _Shot(begin, self.criteria.fps)
            shot.add(begin, frame)
            end = ends.popleft()
            yield None
        if shot is not None:
            yield shot.ended(end)


class _Shot:
    """A shot that has begun, and the measures of its frames at `fps`."""

    def __init__(self, start: float, fps: float):
        self.start, self.fps = start, fps
        self.meter, self.shown = ShotMeter(), torch.empty(0)

    def add(self, begin: float, frame: Frame) -> None:
        """Take a frame that is shown from some time on."""
        self._measure(begin)
        self.shown = frame

    def ended(self, end: float) -> dict[str, Any]:
        """The shot as JSON can hold it; its frame is measured even if it is shown for no time."""
        self._measure(end)
        if not self.meter.count:
            self.meter.add(self.shown)
        measures = self.meter.measures()
        # 64 bits do not fit JSON's numbers everywhere.
        fingerprint = {"fingerprint": f"{measures.fingerprint:016x}"}
        return {"start": self.start, "end": end} | vars(measures) | fingerprint

    def _measure(self, until: float) -> None:
        """Measure what is shown at all instants before a time."""
        while self.start + self.meter.count / self.fps + _ROUNDING < until:
            self.meter.add(self.shown)
