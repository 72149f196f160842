"""Kinetics-600: frame prediction from 5 to 11 further frames, 50,000 clips four times.

Kondratyuk et al. 2024, arXiv:2312.14125, appendix A.5: 16 frames at 128x128 at the videos' own rate. MAGVIT
(Yu et al. 2023, arXiv:2212.05199, appendix B.3) evaluates at 64x64 and is trained on it: not to be compared.
"""

import csv
from pathlib import Path

from ...data.media.clip import Clip
from ...generation.prompt import Prompt
from . import published
from .benchmark import Benchmark, Case, Footage, Material, Wanted
from .footage import drawn, videos_by_name

GIVEN = 5
LAYOUT = "videos such as val/label/ID_000001_000011.mp4, with or without a .csv of youtube_id and split"


def find(data: Path, wanted: Wanted) -> Material:
    """Windows anywhere in validation videos: the same ones are continued and compared with."""
    files = _validation(data)
    draws = list(drawn(files, max(wanted.cases or wanted.real, wanted.real), wanted.seed))
    footage = [Footage(path, "anywhere", draw=number) for number, path in draws]
    repeated = [footage[number % wanted.real] for number in range(wanted.cases or wanted.real)]
    return Material([Case(footage=each) for each in repeated], footage[: wanted.real])


def _validation(data: Path) -> list[Path]:
    videos = videos_by_name(data)
    lists = [path.read_text(encoding="utf-8").splitlines() for path in sorted(data.rglob("*.csv"))]
    listed = [row for lines in lists for row in csv.DictReader(lines) if "youtube_id" in row]
    if not listed:
        parts = {path: set(path.relative_to(data).parts) for path in videos.values()}
        return [path for path in parts if {"val", "validation"} & parts[path]] or list(parts)
    chosen = [row for row in listed if (row.get("split") or "val").startswith("val")] or listed
    by_id = {name: path for stem, path in videos.items() for name in (stem, _id(stem))}
    files = [by_id[row["youtube_id"]] for row in chosen if row["youtube_id"] in by_id]
    if not files:
        raise ValueError(f"none of the {len(chosen)} listed videos is in {data}; expected {LAYOUT}")
    return files


def _id(stem: str) -> str:
    """The YouTube id (11 characters, any of which may be "_") of a name that ends in its times."""
    return stem.rsplit("_", 2)[0]


def ask(case: Case, clip: Clip | None) -> Prompt:
    assert clip is not None
    return Prompt(video=clip.window(0, GIVEN).silent())


BENCHMARK = Benchmark(
    name="kinetics600",
    title="Kinetics-600, frame prediction from 5 to 11 frames",
    task="frame_prediction",
    layout=LAYOUT,
    find=find,
    prompt=ask,
    scores=("fvd", "fvd_random"),
    cases=200_000,
    set_size=50_000,
    repeats=4,
    real=50_000,
    size=(128, 128),
    published=published.KINETICS600,
    remarks=("How windows are chosen is not published; here the seed draws them, for real clips, too.",),
)
