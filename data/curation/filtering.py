"""A better list of clips out of a source: cut into shots, without still, blurred and doubled ones.

    videolm data filter FOLDER --out list.jsonl --min-motion 1 --duplicates 4
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..analysis.shots import distance, find_cuts, looks_of
from ..media.reading import read_clip
from ..media.streams import MediaError
from ..runtime.files import replacing
from ..runtime.progress import progress
from ..runtime.workers import Lost, in_order
from ..sources.entry import Entry
from ..sources.manifest import read_files

_SIZE = 64  # of the frames that are looked at


@dataclass(frozen=True)
class Wishes:
    """What a shot must be to stay.

    Args:
        min_seconds: its duration.
        min_motion, min_sharpness: as `Looks` says.
        duplicates: bits in which its fingerprint must differ from those of all earlier shots; 0 keeps copies.
        cuts: whether files are cut into shots at all.
        fps: frames per second that are looked at.

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


class _Look:
    """What runs in a worker: the shots of an entry with their measures."""

    def __init__(self, entries: Sequence[Entry], wishes: Wishes):
        self.entries, self.wishes = entries, wishes

    def __call__(self, index: int) -> dict[str, Any]:
        entry, fps = self.entries[index], self.wishes.fps
        begin = entry.start or 0.0
        try:
            clip = read_clip(
                entry.media, start=begin, end=entry.end, fps=fps, height=_SIZE, width=_SIZE, sample_rate=8000
            )
        except (MediaError, FileNotFoundError) as error:
            return {"problem": str(error)}
        cuts = find_cuts(clip.frames) if self.wishes.cuts else []
        shots = []
        for first, last in zip([0, *cuts], [*cuts, clip.num_frames], strict=True):
            looks = looks_of(clip.frames[first:last])
            seconds = {"start": begin + first / fps, "end": begin + last / fps}
            # 64 bits do not fit JSON's numbers everywhere.
            shots.append(seconds | vars(looks) | {"fingerprint": f"{looks.fingerprint:016x}"})
        return {"shots": shots}


def filter_source(
    source: str, where: dict[str, str], out: Path, wishes: Wishes, num_workers: int, seconds: float
) -> dict[str, int]:
    """Write the shots that may stay as JSON lines; the result counts them and why others went.

    Raises:
        FileNotFoundError, ValueError: if the source cannot be read, is not one of files of their own, or no
            shot of it may stay.
    """
    entries = read_files(source, where)
    answers = in_order(_Look(entries, wishes), range(len(entries)), max(num_workers, 1), seconds)
    verdicts = ("kept", "short", "still", "blurred", "doubled", "unreadable")
    counts: dict[str, int] = dict.fromkeys(verdicts, 0)
    kept: list[int] = []
    lines: list[str] = []
    with progress("filter", len(entries)) as report:
        for number, (entry, answer) in enumerate(zip(entries, answers, strict=True), start=1):
            shots = [] if isinstance(answer, Lost) else answer.get("shots", [])
            counts["unreadable"] += not shots
            for shot in shots:
                verdict = _verdict(shot, wishes, kept)
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


def _verdict(shot: dict[str, Any], wishes: Wishes, kept: Sequence[int]) -> str:
    if shot["end"] - shot["start"] < wishes.min_seconds:
        return "short"
    if shot["motion"] < wishes.min_motion:
        return "still"
    if shot["sharpness"] < wishes.min_sharpness:
        return "blurred"
    own = int(shot["fingerprint"], 16)
    if any(distance(own, other) < wishes.duplicates for other in kept):
        return "doubled"
    return "kept"


def _line(entry: Entry, shot: dict[str, Any], is_whole: bool) -> str:
    """A line of captions.jsonl; a file that is one shot keeps the part that its own line named."""
    part = {} if is_whole else {key: shot[key] for key in ("start", "end")}
    measured = {key: shot[key] for key in ("motion", "sharpness", "fingerprint")}
    return json.dumps(entry.to_json() | part | measured, ensure_ascii=False)
