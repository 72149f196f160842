"""Filter a source of clips: files are cut into shots; short, still, blurred and duplicate shots are dropped.

    videolm data filter FOLDER --out list.jsonl --min-motion 1 --duplicates 4
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..analysis.shots import find_cuts, hamming_distance, measure_shot
from ..media.reading import read_clip
from ..media.streams import MediaError
from ..runtime.files import replacing
from ..runtime.progress import progress
from ..runtime.workers import Lost, map_in_processes
from ..sources.entry import Entry
from ..sources.manifest import read_files

_SIZE = 64  # height and width of the frames that are measured


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


class _MeasureShots:
    """What runs in a worker: the shots of an entry with their measures."""

    def __init__(self, entries: Sequence[Entry], criteria: ShotCriteria):
        self.entries, self.criteria = entries, criteria

    def __call__(self, index: int) -> dict[str, Any]:
        entry, fps = self.entries[index], self.criteria.fps
        begin = entry.start or 0.0
        try:
            clip = read_clip(
                entry.media, start=begin, end=entry.end, fps=fps, height=_SIZE, width=_SIZE, sample_rate=8000
            )
        except (MediaError, FileNotFoundError) as error:
            return {"problem": str(error)}
        cuts = find_cuts(clip.frames) if self.criteria.cuts else []
        shots = []
        for first, last in zip([0, *cuts], [*cuts, clip.num_frames], strict=True):
            measures = measure_shot(clip.frames[first:last])
            seconds = {"start": begin + first / fps, "end": begin + last / fps}
            # 64 bits do not fit JSON's numbers everywhere.
            shots.append(seconds | vars(measures) | {"fingerprint": f"{measures.fingerprint:016x}"})
        return {"shots": shots}


def filter_source(
    source: str, where: dict[str, str], out: Path, criteria: ShotCriteria, num_workers: int, seconds: float
) -> dict[str, int]:
    """Write the shots that meet the criteria as JSON lines; returns the counts of kept and dropped ones.

    Raises:
        FileNotFoundError, ValueError: if the source cannot be read, does not consist of files, or no shot
            meets the criteria.
    """
    entries = read_files(source, where)
    indices, measure = range(len(entries)), _MeasureShots(entries, criteria)
    answers = map_in_processes(measure, indices, max(num_workers, 1), seconds)
    verdicts = ("kept", "short", "still", "blurred", "doubled", "unreadable")
    counts: dict[str, int] = dict.fromkeys(verdicts, 0)
    kept: list[int] = []
    lines: list[str] = []
    with progress("filter", len(entries)) as report:
        for number, (entry, answer) in enumerate(zip(entries, answers, strict=True), start=1):
            shots = [] if isinstance(answer, Lost) else answer.get("shots", [])
            counts["unreadable"] += not shots
            for shot in shots:
                verdict = _verdict(shot, criteria, kept)
                counts[verdict] += 1
                if verdict == "kept":
                    kept.append(int(shot["fingerprint"], 16))
                    lines.append(_line(entry, shot, is_whole=len(shots) == 1))
            report(number)
    if not lines:
        gone = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        raise ValueError(f"nothing is left of the {len(entries)} clips ({gone}), so no list is written")
    with replacing(out.absolute()) as temporary:
        temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return counts


def _verdict(shot: dict[str, Any], criteria: ShotCriteria, kept: Sequence[int]) -> str:
    if shot["end"] - shot["start"] < criteria.min_seconds:
        return "short"
    if shot["motion"] < criteria.min_motion:
        return "still"
    if shot["sharpness"] < criteria.min_sharpness:
        return "blurred"
    own = int(shot["fingerprint"], 16)
    if any(hamming_distance(own, other) < criteria.duplicates for other in kept):
        return "doubled"
    return "kept"


def _line(entry: Entry, shot: dict[str, Any], is_whole: bool) -> str:
    """A line of captions.jsonl; a file that is one shot keeps the part that its own line named."""
    part = {} if is_whole else {key: shot[key] for key in ("start", "end")}
    measured = {key: shot[key] for key in ("motion", "sharpness", "fingerprint")}
    return json.dumps(entry.to_json() | part | measured, ensure_ascii=False)
