"""MSR-VTT: text to video, zero-shot. CLIPSIM over all captions of the test split, FVD over 20 sets of 2,048.

Kondratyuk et al. 2024, arXiv:2312.14125, appendix A.5: real clips are the central 16 frames of 2,048 test
videos at their own rate, generated ones the first 16 of 17 frames, brought from 128x128 to 256x256 by bicubic
interpolation; CLIP ViT-B/16 (with B/32 the same model has 0.3001).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...data.runtime.files import read_json
from ...generation.prompt import Prompt
from . import published
from .benchmark import Benchmark, Case, Footage, Material, Wanted
from .footage import drawn, videos_by_name

LAYOUT = "annotations of MSR-VTT (a .json with videos and sentences) and the videos (video7010.mp4) below it"


def find(data: Path, wanted: Wanted) -> Material:
    """Captions of the test split in the file's order, and test videos drawn by the seed."""
    videos = videos_by_name(data)
    split, captions = [], []
    for annotation in _annotations(data):
        tests = [each["video_id"] for each in annotation["videos"] if each.get("split", "test") == "test"]
        split += tests
        known = set(tests)
        captions += [each["caption"] for each in annotation["sentences"] if each["video_id"] in known]
    files = [videos[name] for name in split if name in videos]
    if not captions or not files:
        found = f"{len(captions)} test captions and {len(files)} test videos"
        raise ValueError(f"{data} has {found}; expected {LAYOUT}")
    real = [Footage(path) for _, path in drawn(files, min(wanted.real, len(files)), wanted.seed)]
    return Material([Case(text) for text in captions[: wanted.cases]], real)


def _annotations(data: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(data.rglob("*.json")):
        values = read_json(path)
        if isinstance(values, dict) and values.keys() >= {"videos", "sentences"}:
            yield values


BENCHMARK = Benchmark(
    name="msr-vtt",
    title="MSR-VTT, text to video",
    task="text_to_video",
    layout=LAYOUT,
    find=find,
    prompt=lambda case, clip: Prompt(text=case.text),
    scores=("clipsim", "fvd", "fvd_random"),
    set_size=2048,
    repeats=20,
    real=2048,
    published=published.MSR_VTT,
    remarks=("Which 2,048 test videos the paper took is not published; here they are drawn by the seed.",),
)
