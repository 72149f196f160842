"""Which sampling suits a task: every setting of a grid scored on the same prompts, the table, and the best.

    found = search(grid(temperatures=(0.5, 1), guidance_scales=(1, 2)), score, out / "text_to_video")
    print(found)
    found.chosen                        Sampling(temperature=0.5, guidance_scale=2)

`score` may be anything that generates clips and scores them, such as `shapes_exam.training_score`.

The best of many measured scores is partly the luckiest. So it and the plain default are scored once more, on
fresh prompts, and the best is chosen only if it is ahead there too; these scores are free of that luck.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from math import log2
from pathlib import Path

from ..data.runtime.files import read_object, write_json
from ..data.runtime.text_table import text_table
from ..data.runtime.typed_fields import from_fields
from ..lm.decoding.sampling import Sampling

PLAIN = Sampling(recommended=False)
SEARCH, FRESH = 0, 1  # the sets of prompts
_DEFAULTS = {"temperature": 1.0, "guidance_scale": 1.0, "top_p": 1.0}


@dataclass(frozen=True)
class Scored:
    """What a sampling reached.

    Args:
        score: more is better.
        standard_error: of the score, over other prompts and seeds.
        clips: that were generated.
    """

    score: float
    standard_error: float
    clips: int

    def __str__(self) -> str:
        return f"{self.score:.3f} ± {self.standard_error:.3f}"


Score = Callable[[Sampling, int], Scored]  # of a sampling on a set of prompts, SEARCH or FRESH


@dataclass(frozen=True)
class Found:
    """The scores of a grid, the best first, and of the best and the plain default on fresh prompts."""

    scores: Sequence[tuple[Sampling, Scored]]
    fresh_best: Scored
    fresh_plain: Scored

    @property
    def best(self) -> Sampling:
        return self.scores[0][0]

    @property
    def chosen(self) -> Sampling:
        """What to recommend: nothing, if the best is not ahead of the plain default on fresh prompts."""
        ahead = self.fresh_best.score > self.fresh_plain.score
        return Sampling(**self.best.given) if ahead else Sampling()

    def __str__(self) -> str:
        rows = [(str(sampling) or "the defaults", str(scored)) for sampling, scored in self.scores]
        first = self.scores[0][1]
        least = first.score - first.standard_error
        near = sum(scored.score >= least for _, scored in self.scores) - 1
        lines = text_table(rows, ("sampling", "score"))
        lines.append(
            f"{first.clips} clips each; {near} of the {len(rows) - 1} others are within a standard error of "
            "the first, and could as well be the best"
        )
        lines.append(f"on fresh prompts: the first {self.fresh_best}, the defaults {self.fresh_plain}")
        return "\n".join(lines)


def grid(
    *,
    temperatures: Sequence[float] = (1.0,),
    guidance_scales: Sequence[float] = (1.0,),
    top_ps: Sequence[float] = (1.0,),
) -> list[Sampling]:
    """Every combination, and the plain default, the nearest to this first.

    Raises:
        ValueError: if a value is out of its range.
    """
    found = {PLAIN}
    for values in product(temperatures, guidance_scales, top_ps):
        pairs = zip(_DEFAULTS, values, strict=True)
        changed = {name: float(value) for name, value in pairs if value != _DEFAULTS[name]}
        found.add(Sampling(**changed, recommended=False))  # pyright: ignore[reportArgumentType]
    return sorted(found, key=_distance)


def search(
    settings: Sequence[Sampling], score: Score, folder: Path, tell: Callable[[int], None] | None = None
) -> Found:
    """Score every setting, and the best once more; ties go to the one nearest the plain default.

    Args:
        folder: that keeps each score; a search that was stopped goes on. Its owner sees to it that these are
            of the same model, prompts and score (`MadeWith`).
        tell: called with the number of settings that are done.
    """
    scores = []
    for number, sampling in enumerate(settings, start=1):
        scores.append((sampling, _kept(folder, sampling, SEARCH, score)))
        if tell is not None:
            tell(number)
    scores.sort(key=lambda each: (-each[1].score, _distance(each[0])))
    fresh = [_kept(folder, sampling, FRESH, score) for sampling in (scores[0][0], PLAIN)]
    return Found(scores, *fresh)


def _kept(folder: Path, sampling: Sampling, prompts: int, score: Score) -> Scored:
    """The score of a setting, from its file if it has one."""
    words = "-".join(f"{name}={value:g}" for name, value in sampling.given.items()) or "defaults"
    path = folder / f"{words}{'-fresh' * prompts}.json"
    if not path.is_file():
        write_json(path, asdict(score(sampling, prompts)))
    return from_fields(Scored, read_object(path), str(path))


def _distance(sampling: Sampling) -> tuple[int, float, str]:
    """From the plain default: the number of fields that differ, by how many octaves together, and which."""
    values = sampling.given.values()
    return len(values), sum(abs(log2(max(value, 1e-3))) for value in values), str(sampling)
