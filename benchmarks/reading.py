"""Does every file of a folder read as its MANIFEST.tsv says?

    python -m benchmarks.reading FOLDER

MANIFEST.tsv: file, size_wxh (as stored), rotation_deg, sar, duration_s, frames_decoded, audio_rate,
audio_channels, audio_rms. A file without a size, or whose notes begin with CORRUPT, is expected to be
refused. Prints a line for each file and ends with exit code 1 if one differs.
"""

import csv
import sys
from fractions import Fraction
from pathlib import Path

from videolm.data.curation.inspection import Finding, inspect_entries
from videolm.data.sources.entry import Entry


def expected_size(row: dict[str, str]) -> tuple[int, int]:
    """Height and width as displayed."""
    width, height = map(int, row["size_wxh"].split("x"))
    width = max(1, round(width * Fraction(row["sar"])))
    return (width, height) if abs(int(row["rotation_deg"])) == 90 else (height, width)


def differences(row: dict[str, str], finding: Finding) -> list[str]:
    if not row["size_wxh"] or row["notes"].startswith("CORRUPT"):
        return [] if finding.info is None else ["read, but expected to be refused"]
    if finding.info is None:
        return [f"refused: {finding.problem}"]
    info = finding.info
    wrong = []
    if (info.height, info.width) != expected_size(row):
        wrong.append(f"size {info.height}x{info.width}, expected {expected_size(row)}")
    if info.num_frames != int(row["frames_decoded"]):
        wrong.append(f"{info.num_frames} frames, expected {row['frames_decoded']}")
    if row["duration_s"] and abs(info.seconds - float(row["duration_s"])) > max(0.01 * info.seconds, 0.02):
        wrong.append(f"{info.seconds:.3f} s, expected {row['duration_s']}")
    sound = (info.sample_rate, info.channels)
    if sound != (int(row["audio_rate"] or 0), int(row["audio_channels"] or 0)):
        wrong.append(f"sound {sound}, expected {row['audio_rate']} Hz, {row['audio_channels']} channels")
    if abs((info.loudness or 0.0) - float(row["audio_rms"] or 0)) > 0.002:
        wrong.append(f"loudness {info.loudness:.4f}, expected {row['audio_rms']}")
    return wrong


def main(folder: Path) -> int:
    with (folder / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    entries = [Entry(folder / name) for name in rows]
    findings = inspect_entries(entries, quick=False, num_workers=2, seconds=120)
    num_wrong = 0
    for (name, row), finding in zip(rows.items(), findings, strict=True):
        wrong = differences(row, finding)
        num_wrong += bool(wrong)
        verdict = "refused" if finding.info is None else "read"
        print(f"{name:52} {'; '.join(wrong) or f'as expected ({verdict})'}")
    print(f"{len(rows)} files, {num_wrong} not as expected")
    return int(num_wrong > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
