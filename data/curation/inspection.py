"""Statistics of a source of clips and its unreadable files: `videolm data inspect`.

Every file is decoded to its end, in worker processes that are killed when they hang.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..media.probe import MediaInfo, probe
from ..media.streams import MediaError, printable
from ..runtime.files import replacing
from ..runtime.progress import progress
from ..runtime.text_table import text_table
from ..runtime.workers import Lost, map_in_processes
from ..sources.entry import Entry
from ..sources.manifest import read_listing

_THUMBNAIL = 96
_SHEET_COLUMNS, _SHEET_CLIPS = 8, 64
_SILENT = 1e-5
_MANY = 1000  # files, of which the number is said before they are read
_SHOWN = 8
_LABELS = {
    "fps": "frames per second (files)",
    "sizes": "height x width (files)",
    "aspect_ratios": "width : height (files)",
}


@dataclass(frozen=True)
class Finding:
    """One file of a source.

    Args:
        name: its path.
        clips: entries of the source that are parts of it.
        captions: how many of these have a caption.
        info: what is in it; None if it cannot be read.
        problem: why not.
        thumbnail: a picture from its inside.
    """

    name: str
    clips: int
    captions: int
    info: MediaInfo | None
    problem: str
    thumbnail: np.ndarray | None = None

    def to_json(self) -> dict[str, Any]:
        values = {"path": self.name, "clips": self.clips, "captions": self.captions}
        if self.info is None:
            return values | {"readable": False, "reason": self.problem}
        return values | {"readable": True, "kind": self.info.kind} | asdict(self.info)


@dataclass(frozen=True)
class Inspection:
    """What was found in a source.

    Args:
        findings: of its files.
        notes: on what is in it and is no clip.
    """

    findings: list[Finding]
    notes: list[str]


def inspect_source(
    source: str, where: dict[str, str], *, quick: bool, num_workers: int, seconds: float
) -> Inspection:
    """Probe every file of a source.

    Args:
        source, where: as `read_manifest`.
        quick: decode one frame of each file and believe its header.
        num_workers: processes that decode.
        seconds: after which a file is given up.

    Raises:
        FileNotFoundError, ValueError: if the source itself cannot be read.
    """
    listing = read_listing(source, where)
    findings = inspect_entries(listing.entries, quick=quick, num_workers=num_workers, seconds=seconds)
    return Inspection(findings, listing.notes)


def inspect_entries(
    entries: Sequence[Entry], *, quick: bool, num_workers: int, seconds: float
) -> list[Finding]:
    """Probe every file of some entries; of those that have a problem none is opened."""
    files: dict[Path, list[Entry]] = {}
    for entry in entries:
        files.setdefault(entry.path, []).append(entry)
    if len(files) >= _MANY:
        print(f"inspect: {len(files)} files are listed and now read", file=sys.stderr, flush=True)
    sound = [parts[0] for parts in files.values() if not parts[0].problem]
    probe_file, indices = _ProbeFile(sound, whole=not quick), range(len(sound))
    answers = map_in_processes(probe_file, indices, max(num_workers, 1), seconds)
    findings: list[Finding] = []
    with progress("inspect", len(files)) as report:
        for path, parts in files.items():
            problem = parts[0].problem and f"{printable(path)}: {parts[0].problem}"
            findings.append(_finding(parts, {"problem": problem} if problem else next(answers)))
            report(len(findings), printable(path.name))
    return findings


class _ProbeFile:
    """What runs in a worker."""

    def __init__(self, entries: Sequence[Entry], whole: bool):
        self.entries, self.whole = entries, whole

    def __call__(self, index: int) -> dict[str, Any]:
        try:
            info, picture = probe(self.entries[index].media, whole=self.whole, thumbnail=_THUMBNAIL)
        except (MediaError, FileNotFoundError) as error:
            return {"problem": str(error)}
        return {"info": asdict(info), "thumbnail": None if picture is None else picture.numpy()}


def _finding(entries: list[Entry], answer: dict[str, Any] | Lost) -> Finding:
    name, captions = str(entries[0].path), sum(bool(entry.captions) for entry in entries)
    if isinstance(answer, Lost):
        return Finding(name, len(entries), captions, None, f"{printable(name)}: {answer.reason}")
    if "problem" in answer:
        return Finding(name, len(entries), captions, None, answer["problem"])
    return Finding(name, len(entries), captions, MediaInfo(**answer["info"]), "", answer["thumbnail"])


def overview(findings: Sequence[Finding]) -> dict[str, Any]:
    """Counts over all files, as JSON can hold them."""
    infos = [finding.info for finding in findings if finding.info is not None]
    seen = [info for info in infos if info.height]
    sounding = [info for info in infos if info.sample_rate]
    return {
        "files": len(findings),
        "clips": sum(finding.clips for finding in findings),
        "clips_with_captions": sum(finding.captions for finding in findings),
        "unreadable": len(findings) - len(infos),
        "kinds": _counted(info.kind for info in infos),
        "seconds": _spread([info.seconds for info in infos if info.kind == "video"]),
        "frames": _spread([info.num_frames for info in infos if info.kind == "video"]),
        "fps": _counted(round(info.fps, 2) for info in infos if info.kind == "video"),
        "sizes": _counted(f"{info.height}x{info.width}" for info in seen),
        "aspect_ratios": _counted(_aspect(info) for info in seen),
        "with_sound": len(sounding),
        "silent_tracks": sum(info.loudness is not None and info.loudness < _SILENT for info in sounding),
        "sample_rates": _counted(info.sample_rate for info in sounding),
    }


def lines_of(inspection: Inspection) -> list[str]:
    """The overview for people, a line for every file that cannot be read, and the notes."""
    findings = inspection.findings
    counts = overview(findings)
    clips = f"{counts['clips']} clips, {counts['clips_with_captions']} with captions"
    rows = [("kinds", _row(counts["kinds"]))] if counts["kinds"] else []
    for name, unit in (("seconds", "s"), ("frames", "")):
        spread = counts[name]
        if spread:
            span = f"{spread['least']:g} to {spread['most']:g}{unit}, median {spread['median']:g}{unit}"
            rows.append((name, f"{span}, {spread['total']:g}{unit} in all"))
    for name, label in _LABELS.items():
        if counts[name]:
            rows.append((label, _row(counts[name])))
    rates = f"; Hz: {_row(counts['sample_rates'])}" if counts["sample_rates"] else ""
    rows.append(("sound", f"{counts['with_sound']} files, {counts['silent_tracks']} silent{rates}"))
    rows.append(("unreadable", str(counts["unreadable"])))
    problems = [f"  {finding.problem}" for finding in findings if finding.info is None]
    notes = [f"note: {note}" for note in inspection.notes]
    return [f"{counts['files']} files, {clips}", *text_table(rows, left=2), *problems, *notes]


def to_json(inspection: Inspection) -> str:
    files = [finding.to_json() for finding in inspection.findings]
    found = {"overview": overview(inspection.findings), "notes": inspection.notes, "files": files}
    return json.dumps(found, indent=2, ensure_ascii=False)


def write_sheet(findings: Sequence[Finding], path: Path) -> None:
    """Pictures of files spread over the source, in rows.

    Raises:
        ValueError: if no file has pictures.
    """
    pictures = [finding.thumbnail for finding in findings if finding.thumbnail is not None]
    if not pictures:
        raise ValueError("no file has pictures for a contact sheet")
    chosen = pictures[:: max(-(-len(pictures) // _SHEET_CLIPS), 1)]
    rows = -(-len(chosen) // _SHEET_COLUMNS)
    sheet = np.full((rows, _SHEET_COLUMNS, _THUMBNAIL, _THUMBNAIL, 3), 255, np.uint8)
    for number, picture in enumerate(chosen):
        sheet[divmod(number, _SHEET_COLUMNS)] = picture
    sheet = sheet.swapaxes(1, 2).reshape(rows * _THUMBNAIL, _SHEET_COLUMNS * _THUMBNAIL, 3)
    with replacing(path.absolute()) as temporary:
        Image.fromarray(sheet).save(temporary, format="png")


def _counted(values: Any) -> dict[str, int]:
    return {str(value): count for value, count in Counter(values).most_common()}


def _row(counts: dict[str, int]) -> str:
    shown = [f"{value} ({count})" for value, count in list(counts.items())[:_SHOWN]]
    return ", ".join(shown + ([f"{len(counts) - _SHOWN} more"] if len(counts) > _SHOWN else []))


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    measures = {"least": min, "median": np.median, "most": max, "total": sum}
    return {name: round(float(measure(values)), 3) for name, measure in measures.items()}


def _aspect(info: MediaInfo) -> str:
    """Width to height, as the nearest ratio of small numbers."""
    ratio = Fraction(info.width, info.height)
    near = ratio.limit_denominator(16)
    return f"{near.numerator}:{near.denominator}" if near else f"{info.width}:{info.height}"
