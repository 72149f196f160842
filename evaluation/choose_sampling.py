"""`videolm sampling search`: the sampling that suits each task of a model best, on the embedded corpus."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data.runtime.files import replacing
from ..data.runtime.made_with import MadeWith
from ..data.runtime.one_writer import only_writer
from ..data.runtime.progress import progress
from ..generation.notes import notes
from ..generation.pipeline import VideoLM
from ..lm.decoding.sampling import Sampling
from ..tasks.recommended_sampling import SAMPLING, RecommendedSampling
from ..tasks.task import load_task
from .protocols import shapes, shapes_all
from .protocols.shapes_exam import ExamSettings
from .protocols.shapes_search import searchable_tasks, training_score
from .sampling_search import Found, grid, search

_EXAMS = {"shapes": shapes.EXAM, "shapes-all": shapes_all.EXAM}


@dataclass(frozen=True)
class Tried:
    """The values that are tried in all combinations."""

    temperatures: Sequence[float]
    guidance_scales: Sequence[float]
    top_ps: Sequence[float]

    def of(self, task: str) -> list[Sampling]:
        """The settings of a task: without a text there is no guidance."""
        scales = self.guidance_scales if load_task(task).text != "none" else (1.0,)
        return grid(temperatures=self.temperatures, guidance_scales=scales, top_ps=self.top_ps)


def choose_sampling(
    folder: Path, protocol: str, out: Path, settings: ExamSettings, tried: Tried, write: bool
) -> list[Path]:
    """Search task by task, print and write the tables; returns what was written.

    Args:
        settings: on what it is scored; their sampling is not used.
        write: put what is found into the model folder.

    Raises:
        FileNotFoundError: if the folder or a part of it is missing.
        ValueError: if the protocol or a task is not known, or `out` holds scores of other settings.
    """
    if protocol not in _EXAMS:
        raise ValueError(f"a sampling is searched by {' or '.join(_EXAMS)}; got {protocol!r}")
    exam, model = _EXAMS[protocol], VideoLM.from_pretrained(folder)
    tasks = searchable_tasks(model, exam, tuple(settings.tasks))
    made_with = {
        "model_fingerprint": model.fingerprint,
        "protocol": protocol,
        "source": settings.source,
        "clips": settings.clips,
        "seed": settings.seed,
    }
    found: dict[str, Found] = {}
    with only_writer(out), notes():
        MadeWith(out / "settings.json", made_with).claim("scores")
        for task in tasks:
            tries = tried.of(task)
            with progress(f"sampling of {task}", len(tries)) as tell:
                score = training_score(model, exam, task, settings)
                found[task] = search(tries, score, out / task, tell)
            print(_in_words(task, found[task]))
        with replacing(out / "sampling.txt") as temporary:
            temporary.write_text("\n".join(_in_words(*each) for each in found.items()), encoding="utf-8")
    written = [out / "sampling.txt"]
    if write:
        with only_writer(folder):
            chosen = {task: each.chosen for task, each in found.items()}
            tasks_before = RecommendedSampling.load(folder).tasks
            RecommendedSampling({**tasks_before, **chosen}).save(folder)
        written += [folder / SAMPLING] if (folder / SAMPLING).is_file() else []
    return written


def _in_words(task: str, found: Found) -> str:
    return f"{task}\n{found}\nrecommended: {found.chosen if found.chosen.given else 'the defaults'}\n"
