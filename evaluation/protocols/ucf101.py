"""UCF-101: text to video from class names, zero-shot. FVD and inception score of 10,000 clips.

Kondratyuk et al. 2024, arXiv:2312.14125, appendix A.5: 10,000 videos drawn from the test split give the
prompts, the central 16 frames of 10,000 training videos (25 frames a second) the real features; C3D for the
inception score. The prompts are those of PYoCo, one sentence a class; give them as prompts.json,
{"ApplyEyeMakeup": "…", …}. Without that file the class names are split into words.
"""

import re
from pathlib import Path

from ...data.runtime.files import read_json
from ...generation.prompt import Prompt
from . import published
from .benchmark import Benchmark, Case, Footage, Material, Wanted
from .footage import drawn, videos_by_name

LAYOUT = "class folders with v_Class_g01_c01.avi, and ucfTrainTestlist with trainlist01.txt, testlist01.txt"


def find(data: Path, wanted: Wanted) -> Material:
    """Prompts of drawn test videos, and drawn training videos."""
    videos = videos_by_name(data)
    tests, trains = (_listed(data, name, videos) for name in ("testlist01.txt", "trainlist01.txt"))
    texts = _texts(data, {path.parent.name for path in tests})
    chosen = drawn(tests, wanted.cases or len(tests), wanted.seed)
    cases = [Case(texts[path.parent.name]) for _, path in chosen]
    return Material(cases, [Footage(path) for _, path in drawn(trains, wanted.real, wanted.seed + 1)])


def class_in_words(name: str) -> str:
    """"ApplyEyeMakeup" as "apply eye makeup"; "TaiChi" and "YoYo" likewise."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _listed(data: Path, name: str, videos: dict[str, Path]) -> list[Path]:
    """Videos of a list that are there; lines are "Class/v_Class_g01_c01.avi", with or without a number."""
    lists = sorted(data.rglob(name))
    if not lists:
        raise FileNotFoundError(f"{data} has no {name}; expected {LAYOUT}")
    lines = lists[0].read_text(encoding="utf-8").split("\n")
    names = [Path(line.split()[0]).stem for line in lines if line.strip()]
    found = [videos[name] for name in names if name in videos]
    if not found:
        raise ValueError(f"none of the {len(names)} videos of {lists[0]} is in {data}; expected {LAYOUT}")
    return found


def _texts(data: Path, classes: set[str]) -> dict[str, str]:
    path = data / "prompts.json"
    if not path.is_file():
        return {name: class_in_words(name) for name in classes}
    texts = read_json(path)
    if not isinstance(texts, dict):
        raise ValueError(f"{path} has no text for any class")
    if missing := sorted(classes - texts.keys()):
        raise ValueError(f"{path} has no text for {missing[0]}")
    return texts


BENCHMARK = Benchmark(
    name="ucf101",
    title="UCF-101, text to video",
    task="text_to_video",
    layout=LAYOUT,
    find=find,
    prompt=lambda case, clip: Prompt(text=case.text),
    scores=("fvd", "is", "fvd_random", "is_classifier"),
    cases=10_000,
    set_size=10_000,
    real=10_000,
    published=published.UCF101,
    remarks=(
        "Prompts are class names in words unless prompts.json gives the sentences of PYoCo.",
        "Split 1 has 9,537 training videos; beyond these, videos are taken a second time.",
    ),
)
