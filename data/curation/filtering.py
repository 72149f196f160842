"""Filter a source of clips: files are cut into shots; short, still, blurred and duplicate shots are dropped.

videolm data filter FOLDER --out list.jsonl --min-motion 1 --duplicates 4
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..analysis.shots import hamming_distance
from ..media.streams import printable
from ..runtime.files import replacing
from ..runtime.progress import progress
from ..runtime.workers import Lost, map_in_processes
from ..sources.entry import Entry
from ..sources.manifest import read_files
from .shot_measuring import MeasureShots, ShotCriteria


@dataclass(frozen=True)
class Filtered:
    """What became of a source.

    Args:
        counts: shots that were kept and that were not, by the reason, and files that cannot be read.
        left_out: every file of which nothing is kept, and why.
    """

    counts: dict[str, int]
    left_out: list[str]


def filter_source(
    source: str, where: dict[str, str], out: Path, criteria: ShotCriteria, num_workers: int, seconds: float
) -> Filtered:
    """Write the shots that meet the criteria as JSON lines.

    Args:
        seconds: after which a file is given up that gives no more frames.

    Raises:
        FileNotFoundError, ValueError: if the source cannot be read, does not consist of files, or no shot
            meets the criteria.
    """
    entries = read_files(source, where)
    indices, measure = range(len(entries)), MeasureShots(entries, criteria)
    answers = map_in_processes(measure, indices, max(num_workers, 1), seconds)
    counts: dict[str, int] = dict.fromkeys(("kept", "short", "still", "blurred", "doubled", "unreadable"), 0)
    kept: list[int] = []
    left_out: list[str] = []
    with replacing(out.absolute()) as temporary, temporary.open("w", encoding="utf-8") as file:
        with progress("filter", len(entries)) as report:
            for number, (entry, answer) in enumerate(zip(entries, answers, strict=True), start=1):
                shots, problem = _shots_or_problem(entry, answer)
                verdicts: Counter[str] = Counter()
                for shot in shots:
                    verdict = _verdict(shot, criteria, kept)
                    verdicts[verdict] += 1
                    if verdict == "kept":
                        kept.append(int(shot["fingerprint"], 16))
                        file.write(_line(entry, shot, is_whole=len(shots) == 1) + "\n")
                counts["unreadable"] += bool(problem)
                for verdict, count in verdicts.items():
                    counts[verdict] += count
                if not verdicts["kept"]:
                    left_out.append(problem or f"{printable(entry.name)}: {_row(verdicts)}")
                report(number, printable(entry.path.name))
        if not counts["kept"]:
            raise ValueError(
                f"nothing is left of the {len(entries)} clips ({_row(counts)}), so no list is written"
            )
    return Filtered(counts, left_out)


def _shots_or_problem(entry: Entry, answer: dict[str, Any] | Lost) -> tuple[list[dict[str, Any]], str]:
    if isinstance(answer, Lost):
        return [], f"{printable(entry.path)}: {answer.reason}"
    return answer.get("shots", []), answer.get("problem", "")


def _row(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _verdict(shot: dict[str, Any], criteria: ShotCriteria, kept: list[int]) -> str:
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
