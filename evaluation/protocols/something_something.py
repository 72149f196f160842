"""Something-Something-v2: painting the centre of a video, or all around it; 50,000 clips each.

Kondratyuk et al. 2024, arXiv:2312.14125, appendix A.5, and Yu et al. 2023, arXiv:2212.05199, appendix B: the
known or unknown part is the central half of height and width; 16 frames at 128x128.
"""

from collections.abc import Callable
from pathlib import Path

from ...data.media.clip import Clip
from ...data.runtime.files import read_json
from ...generation.prompt import Prompt
from . import published
from .benchmark import Benchmark, Case, Footage, Material, Published, Wanted
from .footage import drawn, videos_by_name

LAYOUT = "videos such as 20bn-something-something-v2/74225.webm, and labels/validation.json with their ids"


def find(data: Path, wanted: Wanted) -> Material:
    """Windows in the middle of validation videos, which are painted and compared with."""
    videos = videos_by_name(data)
    lists = [path for path in sorted(data.rglob("*validation*.json")) if isinstance(read_json(path), list)]
    if not lists:
        raise FileNotFoundError(f"{data} has no validation.json; expected {LAYOUT}")
    names = [str(each.get("id")) for each in read_json(lists[0]) if isinstance(each, dict)]
    files = [videos[name] for name in names if name in videos]
    if not files:
        raise ValueError(f"none of the {len(names)} videos of {lists[0]} is in {data}; expected {LAYOUT}")
    count = max(wanted.cases or wanted.real, wanted.real)
    footage = [Footage(path, "anywhere", draw=number) for number, path in drawn(files, count, wanted.seed)]
    return Material([Case(footage=each) for each in footage[: wanted.cases]], footage[: wanted.real])


def _ask(mask: str) -> Callable[[Case, Clip | None], Prompt]:
    def ask(case: Case, clip: Clip | None) -> Prompt:
        assert clip is not None
        return Prompt(video=clip.silent(), mask=mask)

    return ask


def _painting(task: str, mask: str, rows: tuple[Published, ...]) -> Benchmark:
    return Benchmark(
        name=f"ssv2-{task}",
        title=f"Something-Something-v2, {task}",
        task=task,
        layout=LAYOUT,
        find=find,
        prompt=_ask(mask),
        scores=("fvd", "fvd_random"),
        cases=50_000,
        set_size=50_000,
        real=50_000,
        size=(128, 128),
        published=rows,
        remarks=("The validation split has 24,777 videos; beyond these, other windows of them are taken.",),
    )


INPAINTING = _painting("inpainting", "box", published.SSV2_INPAINTING)
OUTPAINTING = _painting("outpainting", "centre", published.SSV2_OUTPAINTING)
