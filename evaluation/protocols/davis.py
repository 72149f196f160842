"""DAVIS 2016: stylization of 20 videos by two prompts each, scored by CLIPSIM with ViT-B/16.

Kondratyuk et al. 2024, arXiv:2312.14125, appendix A.4 and table 5, which lists video, start frame and prompt:
give them as prompts.jsonl, one {"video": "bear", "start": 0, "prompt": "…"} a line.
"""

from pathlib import Path

from ...data.media.clip import Clip
from ...data.runtime.parsing import parse_json
from ...generation.prompt import Prompt
from . import published
from .benchmark import Benchmark, Case, Footage, Material, Wanted

LAYOUT = "JPEGImages/480p/NAME/00000.jpg, and prompts.jsonl with a video, its first frame and a prompt a line"


def find(data: Path, wanted: Wanted) -> Material:
    """The prompts in the file's order."""
    path = data / "prompts.jsonl"
    if not path.is_file():
        raise FileNotFoundError(f"{data} has no prompts.jsonl; expected {LAYOUT}")
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    cases = [_case(data, line, number) for number, line in enumerate(lines[: wanted.cases], start=1)]
    if not cases:
        raise ValueError(f"{path} has no prompts; expected {LAYOUT}")
    return Material(cases, [])


def _case(data: Path, line: str, number: int) -> Case:
    try:
        values = parse_json(line, "it")
        video, start, text = str(values["video"]), int(values.get("start", 0)), str(values["prompt"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        expected = '{"video": "bear", "start": 0, "prompt": "…"}'
        raise ValueError(f"prompts.jsonl line {number} is not like {expected}") from error
    folder = data / "JPEGImages" / "480p" / video
    if Path(video).name != video or not folder.is_dir():
        raise FileNotFoundError(f"prompts.jsonl line {number}: there is no folder {folder}")
    return Case(text, Footage(folder, "start", first_frame=start))


def ask(case: Case, clip: Clip | None) -> Prompt:
    assert clip is not None
    return Prompt(text=case.text, video=clip.silent())


BENCHMARK = Benchmark(
    name="davis",
    title="DAVIS 2016, stylization",
    task="stylization",
    layout=LAYOUT,
    find=find,
    prompt=ask,
    scores=("clipsim",),
    set_size=40,
    real=0,
    published=published.DAVIS,
)
