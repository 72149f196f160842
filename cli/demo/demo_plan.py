"""The stages of the demo and their commands."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...data.runtime.model_source import DEFAULT, model_folder, packaged_models
from ...evaluation.evaluate_model import prompt_in_words
from ...tasks.model_config import ModelConfig, model_fingerprint
from ...training.precision import faster_precision
from ..config_files import CONFIGS, read_config
from .first_page import write_first_page

Command = tuple[str, ...]

# Of each example: the task, its clip of the corpus, the options of `videolm generate` that take a part of it.
_EXAMPLES = (
    ("text_to_video", 0, ("--text",)),
    ("text_to_video", 1, ("--text",)),
    ("text_to_video", 2, ("--text",)),
    ("text_to_image", 3, ("--text",)),
    ("image_to_video", 4, ("--text", "--image")),
    ("frame_prediction", 5, ("--video",)),
    ("video_to_audio", 6, ("--video",)),
    ("audio_to_video", 7, ("--audio",)),
    ("audio_video_continuation", 8, ("--video",)),
    ("inpainting", 9, ("--text", "--video", "--mask")),
    ("outpainting", 10, ("--text", "--video", "--mask")),
    ("unconditional", None, ()),
)
_CONTINUING = ("frame_prediction", "audio_video_continuation")
_KNOWN_SOURCE = "synthetic-plain"  # its scenes are among those of every embedded corpus
_MASKS = {"inpainting": "box", "outpainting": "centre"}


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
        apart: what it follows from in place of the stages before it; then no later stage follows from it.
    """

    name: str
    commands: tuple[Command, ...]
    seconds: float
    folder: Path | None = None
    config: Path | None = None
    prepare: Callable[[], None] | None = None
    apart: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Example:
    """A clip on the page: made by `command`, shown beside clip `real` of the corpus folder if it has one.

    Args:
        text: what the task is given, in words.
    """

    task: str
    command: Command
    real: int | None
    text: str

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
        size = "debug" if quick else "demo"
        # The language model reads each of them two to three times; 4,096 it would learn by heart.
        self.coded_clips = 16 if quick else 10240
        self.precision = ("--trainer.precision", faster_precision())
        self.names = {"tokenizer": size, "audio": size, "lm": f"{size}-tasks"}
        self.config = {stage: CONFIGS / stage / f"{name}.yaml" for stage, name in self.names.items()}
        self.model = str(out / "model")

    def stages(self) -> list[Stage]:
        shards, examples = str(self.out / "shards"), self.examples()
        reconstructions = tuple(
            self._reconstruct(index)
            for index in sorted({example.real for example in examples if example.real is not None})
        )
        generations = tuple(example.command for example in examples)
        return [
            *self._first_clips(),
            Stage("synthesize", (self._synthesize(),), 2),
            self._fit("tokenizer", 147, *self.precision),
            self._fit("audio", 30),
            Stage("encode", (self._encode(shards),), 75, folder=self.out / "shards"),
            self._fit("lm", 650, "--data.shards", shards, *self.precision),
            Stage("generate", (*reconstructions, *generations), 8, prepare=self._write_given),
            Stage("evaluate", (self._evaluate(),), 90),
        ]

    def _first_clips(self) -> list[Stage]:
        """A page of the packaged model, where there is one."""
        if DEFAULT not in packaged_models():
            return []
        folder = self.out / "first"
        settings = {"source": _KNOWN_SOURCE, "seed": self.seed}
        write = partial(write_first_page, folder, **settings)
        follows = settings | {"model": model_fingerprint(model_folder())}
        return [Stage("first clips", (), 20, folder, prepare=write, apart=follows)]

    def examples(self) -> list[Example]:
        """What is generated for the page: clips of all tasks that take what a command can be given.

        Stylization is led by flow and depth, which only the corpus knows exactly: `evaluate` has it.
        """
        examples = []
        for number, (task, real, flags) in enumerate(_EXAMPLES):
            given = [word for flag in flags for word in (flag, self._given(task, real, flag))]
            suffix = ".png" if task == "text_to_image" else ".mp4"
            target = self.out / "clips" / f"{number}-{task}{suffix}"
            command = ("generate", "--model", self.model, "--task", task, *given)
            command += ("--seed", str(self.seed), "--out", str(target))
            text = prompt_in_words(task, "" if real is None else self.caption(real))
            examples.append(Example(task, command, real, text))
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
        if flag == "--mask":
            return _MASKS[task]
        return str(self._beginning(real) if task in _CONTINUING else self.real(real))

    def _beginning(self, index: int) -> Path:
        return self.out / "corpus" / f"clip-{index:06d}-first-frames.mp4"

    def _write_given(self) -> None:
        """The beginnings of clips that are gone on with, and the folder for what is made."""
        from ...data.media.clip import write_clip
        from ...data.media.reading import read_clip
        from ...data.media.timing import video_frames

        clips = ModelConfig.load(Path(self.model)).clips
        first = video_frames((clips.grid[0] + 1) // 2, clips.temporal_stride)
        for task, real, _ in _EXAMPLES:
            if task in _CONTINUING and real is not None:
                write_clip(read_clip(self.real(real)).window(0, first), self._beginning(real))
        (self.out / "clips").mkdir(exist_ok=True)

    def _synthesize(self) -> Command:
        sizes = _options(self._sizes())
        corpus = ("synthesize", "--source", self.source, "--out", str(self.out / "corpus"))
        clips = sum(real is not None for _, real, _ in _EXAMPLES)
        return (*corpus, "--clips", str(clips), "--split", "triples", "--seed", str(self.seed), *sizes)

    def _evaluate(self) -> Command:
        command = ("evaluate", "--model", self.model, "--protocol", "shapes-all", "--source", self.source)
        command += ("--out", str(self.out / "evaluation"), "--clips", str(self.clips))
        return (*command, "--seed", str(self.seed))

    def _encode(self, shards: str) -> Command:
        sizes = {name: value for name, value in self._sizes().items() if name != "sample_rate"}
        command = ("encode", self.source, "--model", self.model, "--out", shards, "--tasks", "all")
        # Clips are rendered sooner than they are handed over by another process.
        return (*command, "--clips", str(self.coded_clips), "--num-workers", "0", *_options(sizes))

    def _reconstruct(self, index: int) -> Command:
        files = (str(self.real(index)), str(self.reconstructed(index)))
        return ("tokenizer", "reconstruct", *files, "--model", self.model)

    def _fit(self, stage: str, seconds: float, *more: str) -> Stage:
        command = (stage, "fit", "--config", self.names[stage], "--out", str(self.out))
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


def _options(values: dict[str, Any]) -> list[str]:
    return [word for name, value in values.items() for word in (f"--{name.replace('_', '-')}", str(value))]
