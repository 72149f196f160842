"""The five jobs of `videolm evaluate`, each a record of the options that it uses.

    CorpusJob      a protocol of the embedded corpus       --model M --protocol shapes
    BenchmarkJob   a benchmark of the literature           --model M --protocol ucf101 --data UCF-101
    StagesJob      the stages of super-resolution          --model M --protocol super-resolution
    WorldJob       a world model on recorded episodes      --model M --protocol world --data CLIPS
    SetsJob        anybody's clips against real ones       --real DIR --generated DIR

The fields of a job, and those of the records among them, have the names and defaults of the options.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

from ..data.analysis.open_geometry import geometry_of
from ..data.runtime.model_source import model_folder, place_beside
from ..data.runtime.one_writer import only_writer
from .benchmark_run import RunSettings, Sources, run_benchmark
from .evaluate_model import PROTOCOLS, evaluate_model
from .evaluate_super_resolution import PROTOCOL as STAGES_PROTOCOL
from .evaluate_super_resolution import evaluate_super_resolution
from .evaluate_world import PROTOCOL as WORLD_PROTOCOL
from .evaluate_world import evaluate_world
from .metrics.weights_folder import WeightsFolder
from .protocols.registry import BENCHMARKS
from .protocols.shapes_exam import ExamSettings
from .resumable import ALL, Share
from .score_logging import Logger
from .set_evaluation import SetSettings, evaluate_sets


@dataclass(frozen=True)
class CorpusJob:
    """Score a model by a protocol of the embedded corpus."""

    title: ClassVar[str] = "protocol {}"
    model: str
    protocol: str = "shapes"
    out: Path | None = None
    store_scores: bool = True
    settings: ExamSettings = field(default_factory=ExamSettings)

    def run(self) -> list[Path]:
        model = model_folder(self.model)
        out = self.out or place_beside(model, "evaluation")
        with _only_writer(out):
            return evaluate_model(model, self.protocol, out, self.settings, self.store_scores)


@dataclass(frozen=True)
class BenchmarkJob:
    """Score a model by a benchmark of the literature.

    Raises:
        ValueError: if there is no data set, or a depth model that the benchmark does not use.
    """

    title: ClassVar[str] = "protocol {}"
    model: str
    protocol: str
    data: Path | None = None
    depth: str | None = None
    weights: Path | None = None
    trust: bool = False
    out: Path | None = None
    store_scores: bool = True
    settings: RunSettings = field(default_factory=RunSettings)
    share: Share = ALL
    logger: tuple[Logger, ...] = ("csv",)

    def __post_init__(self) -> None:
        benchmark = BENCHMARKS[self.protocol]
        if self.data is None:
            raise ValueError(f"protocol {self.protocol} needs --data, a folder with {benchmark.layout}")
        if self.depth is not None and not benchmark.needs_geometry:
            task = benchmark.task
            raise ValueError(f"protocol {self.protocol} has no use for --depth: {task} needs no geometry")

    def run(self) -> list[Path]:
        assert self.data is not None
        weights, geometry = WeightsFolder(self.weights, self.trust), geometry_of(self.depth)
        model, out = _places(self)
        with _only_writer(out, self.share):
            return run_benchmark(
                BENCHMARKS[self.protocol],
                Sources(model, self.data, weights, geometry),
                out,
                self.settings,
                share=self.share,
                loggers=self.logger,
                store=self.store_scores,
            )


@dataclass(frozen=True)
class StagesJob:
    """Score a model's stages of super-resolution on held-out clips of the embedded corpus."""

    title: ClassVar[str] = "protocol {}"
    model: str
    protocol: str
    source: str = "synthetic"
    clips: int = 32
    seed: int = 0
    out: Path | None = None

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips is {self.clips}; expected at least 1")

    def run(self) -> list[Path]:
        model, out = _places(self)
        with _only_writer(out):
            return evaluate_super_resolution(model, out, self.source, self.clips, self.seed)


@dataclass(frozen=True)
class WorldJob:
    """Score a world model on recorded episodes, and returns in it against those of an environment."""

    title: ClassVar[str] = "protocol {}"
    model: str
    protocol: str
    data: Path | None = None
    env: str | None = None
    policy: str = "random"
    clips: int = 64
    seed: int = 0
    out: Path | None = None
    store_scores: bool = True

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips is {self.clips}; expected at least 1")
        if self.data is None:
            raise ValueError(f"protocol {self.protocol} needs --data, clips with actions (videolm record)")

    def run(self) -> list[Path]:
        assert self.data is not None
        model, out = _places(self)
        asked = (self.clips, self.seed, self.env, self.policy, self.store_scores)
        with _only_writer(out):
            return evaluate_world(model, self.data, out, *asked)


@dataclass(frozen=True)
class SetsJob:
    """Score clips against real ones."""

    title: ClassVar[str] = "a comparison of --real and --generated"
    real: Path
    generated: Path
    weights: Path | None = None
    trust: bool = False
    out: Path | None = None
    settings: SetSettings = field(default_factory=SetSettings)
    share: Share = ALL
    logger: tuple[Logger, ...] = ("csv",)

    def run(self) -> list[Path]:
        out = self.out or self.generated.absolute().parent / "evaluation"
        with _only_writer(out, self.share):
            return evaluate_sets(
                self.real,
                self.generated,
                out,
                self.settings,
                WeightsFolder(self.weights, self.trust),
                share=self.share,
                loggers=self.logger,
            )


Job = CorpusJob | BenchmarkJob | StagesJob | WorldJob | SetsJob


def job_of(given: Mapping[str, Any]) -> Job:
    """The job that the given options ask for.

    Args:
        given: values by the names of options, without those that are not given.

    Raises:
        ValueError: if options are missing, have no meaningful value, or are not used by the job.
    """
    kind = _kind(given)
    if unused := given.keys() - set(option_names(kind)):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given if name in unused)
        title = kind.title.format(given.get("protocol", CorpusJob.protocol))
        raise ValueError(f"{title} has no use for {names}")
    return _made(kind, given)


def option_names(record: type[Any]) -> Iterator[str]:
    """The names of the options that are fields of a record, or of a record in it."""
    for each in fields(record):
        if isinstance(each.type, type) and is_dataclass(each.type):
            yield from option_names(each.type)
        else:
            yield each.name


def _places(job: BenchmarkJob | StagesJob | WorldJob) -> tuple[Path, Path]:
    """The model's folder, and that of the scores: as asked for, or beside the model."""
    model = model_folder(job.model)
    return model, job.out or place_beside(model, f"evaluation-{job.protocol}")


def _only_writer(out: Path, share: Share = ALL) -> AbstractContextManager[None]:
    """The lock of a folder for this rank: those who share the work write there together."""
    return only_writer(out, f"videolm-{share.rank}")


def _kind(given: Mapping[str, Any]) -> type[Job]:
    if given.keys() & {"real", "generated"}:
        if not given.keys() >= {"real", "generated"}:
            raise ValueError("expected --real and --generated together")
        return SetsJob
    if "model" not in given:
        raise ValueError("expected --model, or --real and --generated")
    protocol = given.get("protocol", CorpusJob.protocol)
    if protocol not in (known := (*PROTOCOLS, *BENCHMARKS, STAGES_PROTOCOL, WORLD_PROTOCOL)):
        raise ValueError(f"unknown protocol {protocol!r}; there are {', '.join(known)}")
    if protocol == STAGES_PROTOCOL:
        return StagesJob
    if protocol == WORLD_PROTOCOL:
        return WorldJob
    return CorpusJob if protocol in PROTOCOLS else BenchmarkJob


def _made(record: type[Any], given: Mapping[str, Any]) -> Any:
    values: dict[str, Any] = {}
    for each in fields(record):
        if isinstance(each.type, type) and is_dataclass(each.type):
            values[each.name] = _made(each.type, given)
        elif each.name in given:
            values[each.name] = given[each.name]
    return record(**values)
