"""The stages of the demo and their commands."""

import inspect
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.task import task_names
from ...training.precision import faster_precision
from ..config_files import CONFIGS, read_config

Command = tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """A part of the demo.

    Args:
        name: of its record in OUT/demo.
        commands: words after `videolm`.
        seconds: about how long it takes on two cores; only for the time left that is shown.
        folder: what it fills in the course of time and goes on with: void if made with other settings.
        config: its YAML file, if it trains.
        prepare: called before the commands.
    """

    name: str
    commands: tuple[Command, ...]
    seconds: float
    folder: Path | None = None
    config: Path | None = None
    prepare: Callable[[], None] | None = None


@dataclass(frozen=True)
class Example:
    """A clip on the page: made by `command`, shown beside clip `real` of the corpus folder if it has one."""

    task: str
    command: Command
    real: int | None

    @property
    def path(self) -> Path:
        return Path(self.command[self.command.index("--out") + 1])


class Plan:
    """Stages and examples of one demo.

    Args:
        out: run folder.
        clips: scored per task and kind of held-out prompt.
        quick: debug configs and few clips.
    """

    def __init__(self, out: Path, *, seed: int, clips: int, quick: bool):
        self.out, self.seed, self.clips = out, seed, clips
        self.size = "debug" if quick else "demo"
        # The language model reads each of them two to three times; 4,096 it would learn by heart.
        self.coded_clips = 16 if quick else 10240
        self.adapted_clips = 16 if quick else 1536
        self.precision = ("--trainer.precision", faster_precision())
        self.config = {stage: CONFIGS / stage / f"{self.size}.yaml" for stage in ("tokenizer", "audio", "lm")}
        self.model, self.adapted = str(out / "model"), out / "all-tasks"

    def stages(self) -> list[Stage]:
        shards, examples = str(self.out / "shards"), self.examples()
        reconstructions = tuple(
            self._reconstruct(index)
            for index in sorted({example.real for example in examples if example.real is not None})
        )
        generations = tuple(example.command for example in examples)
        return [
            Stage("synthesize", (self._synthesize(),), 2),
            self._fit("tokenizer", 147, *self.precision),
            self._fit("audio", 30),
            Stage("encode", (self._encode(shards, self.coded_clips),), 43, folder=self.out / "shards"),
            self._fit("lm", 403, "--data.shards", shards, *self.precision),
            Stage("generate", (*reconstructions, *generations), 4, prepare=self._write_given),
            Stage("evaluate", (self._evaluate(self.model, "evaluation", "shapes", self.clips),), 54),
            *self._adaptation(),
        ]

    def _adaptation(self) -> list[Stage]:
        """All tasks that the model has not learnt yet, by training on: VideoPoet's task adaptation."""
        shards, config = self.out / "task-shards", f"{self.size}-tasks"
        encode = (*self._encode(str(shards), self.adapted_clips), "--tasks", "all")
        fit = ("lm", "fit", "--config", config, "--init-from", self.model, "--out", str(self.adapted))
        fit += ("--data.shards", str(shards), "--seed_everything", str(self.seed), *self.precision)
        evaluate = self._evaluate(
            str(self.adapted / "model"), "evaluation-all", "shapes-all", max(self.clips // 4, 1)
        )
        return [
            Stage("encode all tasks", (encode,), 12, folder=shards),
            Stage("lm fit all tasks", (fit,), 105, self.adapted, CONFIGS / "lm" / f"{config}.yaml"),
            Stage("evaluate all tasks", ((*evaluate, "--tasks", ",".join(self.added_tasks)),), 30),
        ]

    @property
    def added_tasks(self) -> list[str]:
        """Those that only the adapted model has learnt."""
        return [task for task in task_names() if task not in self._data("lm")["tasks"]]

    def examples(self) -> list[Example]:
        """What is generated for the page: at least one clip for each task of the model."""
        wanted = (
            ("text_to_video", 0, "--text"),
            ("text_to_video", 1, "--text"),
            ("text_to_video", 2, "--text"),
            ("image_to_video", 3, "--text", "--image"),
            ("frame_prediction", 4, "--video"),
            ("video_to_audio", 5, "--video"),
            ("unconditional", None),
        )
        trained = self._data("lm")["tasks"]
        examples = []
        for number, (task, real, *flags) in enumerate(each for each in wanted if each[0] in trained):
            given: list[str] = []
            for flag in flags:
                given += [flag, self._given(task, real, flag)]
            target = self.out / "clips" / f"{number}-{task}.mp4"
            command = ("generate", "--model", self.model, "--task", task, *given)
            examples.append(Example(task, (*command, "--seed", str(self.seed), "--out", str(target)), real))
        return examples

    def real(self, index: int) -> Path:
        return self.out / "corpus" / f"clip-{index:06d}.mp4"

    def reconstructed(self, index: int) -> Path:
        return self.out / "clips" / f"reconstructed-{index}.mp4"

    def caption(self, index: int) -> str:
        from ...data.synthetic.corpus import Corpus, corpus_scenes

        scenes = corpus_scenes(self.source)
        caption = Corpus(split="triples", seed=self.seed, scenes=scenes, **self._sizes())[index].caption
        assert caption is not None
        return caption

    @property
    def source(self) -> str:
        """The embedded corpus that the tokenizer's config names; every stage is about it."""
        return self._data("tokenizer")["source"]

    def _given(self, task: str, real: int | None, flag: str) -> str:
        assert real is not None
        if flag == "--text":
            return self.caption(real)
        if task == "frame_prediction":
            return str(self._first_frames(real))
        return str(self.real(real))

    def _first_frames(self, index: int) -> Path:
        return self.out / "corpus" / f"clip-{index:06d}-first-frames.mp4"

    def _write_given(self) -> None:
        """The beginnings of clips that frame_prediction goes on from, and the folder for what is made."""
        from ...data.media.clip import write_clip
        from ...data.media.reading import read_clip
        from ...data.media.timing import video_frames
        from ...tasks.model_config import ModelConfig

        clips = ModelConfig.load(Path(self.model)).clips
        first = video_frames((clips.grid[0] + 1) // 2, clips.temporal_stride)
        for example in self.examples():
            if example.task == "frame_prediction" and example.real is not None:
                beginning = read_clip(self.real(example.real)).window(0, first)
                write_clip(beginning, self._first_frames(example.real))
        (self.out / "clips").mkdir(exist_ok=True)

    def _synthesize(self) -> Command:
        sizes = _options(self._sizes())
        corpus = ("synthesize", "--source", self.source, "--out", str(self.out / "corpus"))
        return (*corpus, "--clips", "6", "--split", "triples", "--seed", str(self.seed), *sizes)

    def _evaluate(self, model: str, folder: str, protocol: str, clips: int) -> Command:
        command = ("evaluate", "--model", model, "--protocol", protocol, "--source", self.source)
        command += ("--out", str(self.out / folder), "--clips", str(clips))
        return (*command, "--seed", str(self.seed))

    def _encode(self, shards: str, clips: int) -> Command:
        sizes = {name: value for name, value in self._sizes().items() if name != "sample_rate"}
        command = ("encode", self.source, "--model", self.model, "--out", shards)
        # Clips are rendered sooner than they are handed over by another process.
        return (*command, "--clips", str(clips), "--num-workers", "0", *_options(sizes))

    def _reconstruct(self, index: int) -> Command:
        files = (str(self.real(index)), str(self.reconstructed(index)))
        return ("tokenizer", "reconstruct", *files, "--model", self.model)

    def _fit(self, stage: str, seconds: float, *more: str) -> Stage:
        command = (stage, "fit", "--config", self.size, "--out", str(self.out))
        command += ("--seed_everything", str(self.seed), *more)
        folder = self.out / "training" / stage
        return Stage(f"{stage} fit", (command,), seconds, folder, self.config[stage])

    def _sizes(self) -> dict[str, Any]:
        """Sizes of the clips, as the configs of the tokenizers say."""
        from ...data.loading.clip_datamodule import ClipDataModule

        parameters = inspect.signature(ClipDataModule.__init__).parameters
        tokenizer, audio = self._data("tokenizer"), self._data("audio")
        names = ("height", "width", "num_frames", "fps")
        sizes = {name: tokenizer.get(name, parameters[name].default) for name in names}
        return sizes | {"sample_rate": audio["sample_rate"]}

    def _data(self, stage: str) -> dict[str, Any]:
        return read_config(self.config[stage])["data"]


def in_words(command: Command) -> str:
    """A command as it would be typed."""
    return shlex.join(["videolm", *command])


def _options(values: dict[str, Any]) -> list[str]:
    return [word for name, value in values.items() for word in (f"--{name.replace('_', '-')}", str(value))]
