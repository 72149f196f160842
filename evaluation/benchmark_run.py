"""Run a benchmark of the literature: generate its clips, compute features, compare, write the report.

    videolm evaluate --model runs/mine/model --protocol msr-vtt --data MSRVTT --weights weights --out runs/vtt

Generated clips are kept, without loss, in OUT/work/clips, and features beside them. A stopped run continues
with the next batch, and several processes can share it (--rank, --world). Batches are fixed, so the clips
depend neither on interruptions nor on the number of processes.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..data.analysis.geometry import Geometry
from ..data.media.clip import Clip, write_clip
from ..data.media.clip_tensors import put_together, take_apart
from ..data.runtime.made_with import MadeWith, whole_path
from ..data.runtime.model_source import source_name
from ..data.sources.entry import Entry
from ..data.sources.entry_identity import MadeOf
from ..generation.pipeline import VideoLM
from ..lm.decoding.sampling import Sampling
from .html_report import ClipRow, Shown
from .metrics.measures import Measure, measures
from .metrics.resizing import Resize
from .metrics.score import Score
from .metrics.weights_folder import NO_WEIGHTS, WeightsFolder
from .protocols.benchmark import Benchmark, Footage, Wanted
from .protocols.footage import read_footage
from .protocols.guidance import decided, sampling_for
from .resumable import ALL, Item, Part, Share, work_through
from .score_logging import Logger, log_scores
from .score_report import Table, print_scores, values_of, write_report
from .set_features import describe_part, feature_part, features_of, skipped_in
from .stored_scores import of_measures, store_scores

_BATCH = 16
_SAMPLES = 8
_NUMBERS = {"fps": torch.float64, "sample_rate": torch.int64}  # of a clip that is kept, as tensors


@dataclass(frozen=True)
class RunSettings:
    """The settings that scores depend on, beside model, data and weights.

    Args:
        clips: to generate; None for as many as the protocol asks for.
        seed: of the sampling, and of what is drawn from the data set.
        sampling: how codes are drawn; what it leaves open is as the model recommends. Without a text there
            is no guidance.
    """

    clips: int | None = None
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        if self.clips is not None and self.clips < 1:
            raise ValueError(f"clips is {self.clips}; expected at least 1")


@dataclass(frozen=True)
class Sources:
    """What a benchmark reads.

    Args:
        model: model folder.
        data: folder of the data set.
        weights: of the networks of its scores.
        geometry: how flow and depth of footage are found, for a task that needs them.
    """

    model: Path
    data: Path
    weights: WeightsFolder = NO_WEIGHTS
    geometry: Geometry | None = None


def run_benchmark(
    benchmark: Benchmark,
    sources: Sources,
    out: Path,
    settings: RunSettings,
    *,
    share: Share = ALL,
    loggers: Sequence[Logger] = ("csv",),
    store: bool = True,
) -> list[Path]:
    """Run or go on with a benchmark; returns what was written, nothing while other processes have work.

    Args:
        store: put the scores into the model's folder, too.

    Raises:
        FileNotFoundError, ValueError: if model, data or weights cannot be used, the model lacks the task, or
            `out` holds results of other settings.
    """
    run = BenchmarkRun(benchmark, sources, out, settings)
    if not work_through(benchmark.name, [run.clips, *run.features.values()], share):
        return []
    scores = run.scores()
    tables = {"Beside published results": run.comparison(scores)} if benchmark.published else {}
    samples = run.write_samples(out / "clips")
    text = run.in_words()
    written = write_report(out, benchmark.title, text, run.report(), scores, samples, tables)
    print_scores(scores)
    if store:
        asked = {"clips": len(run.material.cases), "seed": settings.seed}
        written += store_scores(sources.model, benchmark.name, asked, of_measures(scores))
    return written + log_scores(loggers, out, benchmark.name, values_of(scores))


class BenchmarkRun:
    """One benchmark on one model: its clips and features on disk, and the scores of these."""

    def __init__(self, benchmark: Benchmark, sources: Sources, out: Path, settings: RunSettings):
        self.benchmark, self.sources, self.settings = benchmark, sources, settings
        self.model = VideoLM.from_pretrained(sources.model)
        _check_task(self.model, benchmark)
        self.num_frames = min(benchmark.num_frames, self.model.clips.num_frames)
        self.size = benchmark.size or (self.model.clips.height, self.model.clips.width)
        self.material = benchmark.find(sources.data, self._wanted())
        count = len(self.material.cases)
        self.set_size = min(benchmark.set_size, count)
        self.repeats = min(benchmark.repeats, count // self.set_size)
        self.measures = measures(sources.weights, self.num_frames, benchmark.scores)
        MadeWith(out / "work" / "settings.json", self._described()).claim("results")
        made_of = MadeOf()
        self.clips = Part(out / "work" / "clips", count, self._generate, _BATCH, self._cases_made_of(made_of))
        self.features = {
            "generated": feature_part(
                out / "work/generated", count, self._generated, self.measures, _BATCH, self.clips.made_of
            ),
            "real": feature_part(
                out / "work/real", len(self.material.real), self._real, self.measures, _BATCH,
                lambda numbers: " ".join(_made_of(self.material.real[each], made_of) for each in numbers),
            ),
        }  # fmt: skip

    def scores(self) -> list[Score]:
        """Every score of the benchmark, with everything that it depends on.

        Raises:
            ValueError: if no clip could be generated.
        """
        skipped = skipped_in(self.features["generated"])
        if len(skipped) == len(self.material.cases):
            raise ValueError(f"none of the {len(skipped)} clips could be made; the first: {skipped[0]}")
        return [replace(each, constants=self._shared() | each.constants) for each in self._each_score()]

    def report(self) -> dict[str, Any]:
        """What report.json holds beside the scores."""
        return {
            "protocol": self.benchmark.name,
            "remarks": list(self._remarks()),
            "settings": self._described(),
            "generated": describe_part(self.features["generated"]),
            "real": describe_part(self.features["real"]),
            "published": [asdict(row) for row in self.benchmark.published],
        }

    def in_words(self) -> str:
        made, real = (self.features[name].count for name in ("generated", "real"))
        data = self.sources.data
        text = f"{made} clips by {source_name(self.sources.model)}"
        text += f", against {real} real ones of {data}. " if real else f", with prompts of {data}. "
        return text + " ".join(self._remarks())

    def comparison(self, scores: Sequence[Score]) -> Table:
        """This run above the published rows."""
        known = {name for row in self.benchmark.published for name in row.scores}
        names = [name for name in self.benchmark.scores if name in known]
        own = {score.name: str(score) for score in scores}
        rows = [("this run", *(own[name] for name in names), "")]
        for row in self.benchmark.published:
            cells = (f"{row.scores[name]:g}" if name in row.scores else "" for name in names)
            rows.append((row.model, *cells, row.source))
        return ("model", *names, "source"), rows

    def write_samples(self, folder: Path) -> list[ClipRow]:
        """Write a few clips beside the footage that they were made from, for the page."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        numbers = range(min(_SAMPLES, self.clips.count))
        for number, item in zip(numbers, self.clips.read(numbers), strict=True):
            if isinstance(item, str):
                continue
            case = self.material.cases[number]
            kinds = {"real": self._source(case.footage)} if case.footage else {}
            kinds["generated"] = _clip_of(item)
            shown = [
                _write(clip, folder, f"{number}-{kind}.mp4", kind)
                for kind, clip in kinds.items()
                if isinstance(clip, Clip)
            ]
            rows.append(ClipRow(self.benchmark.task, case.text or "", shown))
        return rows

    def _each_score(self) -> Iterator[Score]:
        for measure in self.measures:
            made = features_of(self.features["generated"], measure.name)
            real = list(features_of(self.features["real"], measure.name).values())
            yield measure.of(real, self._sets(measure, made), self.settings.seed)

    def _sets(self, measure: Measure, made: dict[int, torch.Tensor]) -> list[list[torch.Tensor]]:
        """Generated clips of each repeat of a distance; all of them for other scores."""
        if measure.kind != "distance":
            return [list(made.values())]
        size = self.set_size
        return [
            [rows for number, rows in made.items() if number // size == repeat]
            for repeat in range(self.repeats)
        ]

    def _generate(self, numbers: Sequence[int]) -> list[Item]:
        sources = {number: self._given(number) for number in numbers}
        items: list[Item] = []
        for run in _runs([number for number in numbers if not isinstance(sources[number], str)]):
            prompts = []
            for number in run:
                source = sources[number]
                assert not isinstance(source, str)
                prompt = self.benchmark.prompt(self.material.cases[number], source)
                prompts.append(replace(prompt, geometry=self.sources.geometry))
            seed, sampling = self.settings.seed + run[0], sampling_for(prompts, self.settings.sampling)
            made = self.model.generate_batch(self.benchmark.task, prompts, seed=seed, sampling=sampling)
            items += [_item_of(clip) for clip in made]
        done = iter(items)
        return [source if isinstance(source, str) else next(done) for source in sources.values()]

    def _given(self, number: int) -> Clip | str | None:
        """The footage of a case, or why the case cannot be used."""
        text = self.material.cases[number].text
        if text is not None:
            try:
                self.model.rows.pieces(text)
            except ValueError as error:
                return str(error)
        return self._source(self.material.cases[number].footage)

    def _source(self, footage: Footage | None) -> Clip | str | None:
        """Footage as the model takes it: its size and number of frames; each frame is one of the model's."""
        if footage is None:
            return None
        clips = self.model.clips
        fps = clips.fps if self.benchmark.real_fps == "model" else None
        clip = read_footage(footage, clips.num_frames, clips.height, clips.width, fps)
        return clip if isinstance(clip, str) else replace(clip, fps=clips.fps)

    def _generated(self, number: int) -> Clip | str:
        item = next(self.clips.read([number]))
        if isinstance(item, str):
            return item
        clip = replace(_clip_of(item), caption=self.material.cases[number].text)
        clip = clip.window(0, self.num_frames)
        return replace(clip, frames=self._resize.bytes(clip.frames))

    def _real(self, number: int) -> Clip | str:
        fps = self.model.clips.fps if self.benchmark.real_fps == "model" else None
        return read_footage(self.material.real[number], self.num_frames, *self.size, fps)

    @cached_property
    def _resize(self) -> Resize:
        return Resize(*self.size, mode="bicubic")

    def _cases_made_of(self, made_of: MadeOf) -> Callable[[Sequence[int]], str]:
        def of_cases(numbers: Sequence[int]) -> str:
            cases = [self.material.cases[number] for number in numbers]
            return " ".join(f"{case.text!r} {_made_of(case.footage, made_of)}" for case in cases)

        return of_cases

    def _wanted(self) -> Wanted:
        cases = self.settings.clips or self.benchmark.cases
        real = min(self.benchmark.real, self.settings.clips or self.benchmark.real)
        return Wanted(cases, real, self.settings.seed)

    def _remarks(self) -> Iterator[str]:
        yield from self.benchmark.remarks
        if self.settings.clips is not None:
            yield f"Not the protocol's number of clips, but {len(self.material.cases)}: not to be compared."
        if self.num_frames < self.benchmark.num_frames:
            wanted = self.benchmark.num_frames
            yield f"The model makes {self.num_frames} frames, the protocol compares {wanted}."

    def _shared(self) -> dict[str, Any]:
        """Constants of all scores."""
        clips, size = self.model.clips, "{}x{}".format(*self.size)
        return {
            "num_frames": self.num_frames,
            "generated_size": f"{clips.height}x{clips.width}, then {self._resize}, rounded to bytes",
            "generated_fps": clips.fps,
            "real_size": f"scaled to cover {size} while decoding (bicubic), centre crop",
            "real_fps": "as in the files" if self.benchmark.real_fps == "own" else clips.fps,
            "set_size": self.set_size,
            "seed": self.settings.seed,
        }

    def _described(self) -> dict[str, Any]:
        has_text = self.material.cases[0].text is not None
        networks = {m.name: m.extractor.constants for m in self.measures if m.extractor is not None}
        return {
            "protocol": self.benchmark.name,
            "model": source_name(self.sources.model),
            "model_fingerprint": self.model.fingerprint,
            "clip_format": self.model.clips.to_json(),
            "data": whole_path(self.sources.data),
            "cases": len(self.material.cases),
            "real": len(self.material.real),
            "seed": self.settings.seed,
            "sampling": decided(self.model, self.benchmark.task, self.settings.sampling, text=has_text),
            "networks": networks,
        }


def _made_of(footage: Footage | None, made_of: MadeOf) -> str:
    """Hex digits of the contents of footage: a film, or a folder of its frames."""
    if footage is None:
        return ""
    files = [footage.path]
    if footage.path.is_dir():
        files = sorted(path for path in footage.path.iterdir() if path.is_file())
    said = [str(replace(footage, path=Path())), *(made_of(Entry(file)) for file in files)]
    return hashlib.sha256(" ".join(said).encode()).hexdigest()[:24]


def _check_task(model: VideoLM, benchmark: Benchmark) -> None:
    if benchmark.task not in model.config.tasks:
        has = ", ".join(model.config.tasks)
        raise ValueError(f"{benchmark.name} needs the task {benchmark.task}; this model has {has}")


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    """Numbers in stretches without gaps: the clips of one call are sampled with consecutive seeds."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _item_of(clip: Clip) -> dict[str, torch.Tensor]:
    """A clip as tensors alone, its numbers among them; without the caption, which the case has."""
    tensors, values = take_apart(clip)
    numbers = {name: (values[name], dtype) for name, dtype in _NUMBERS.items() if values[name] is not None}
    return tensors | {name: torch.tensor(value, dtype=dtype) for name, (value, dtype) in numbers.items()}


def _clip_of(item: dict[str, torch.Tensor]) -> Clip:
    return put_together(item, {name: item[name].item() for name in _NUMBERS if name in item})


def _write(clip: Clip, folder: Path, name: str, caption: str) -> Shown:
    write_clip(clip, folder / name)
    return Shown(f"{folder.name}/{name}", caption, has_sound=clip.waveform is not None)
