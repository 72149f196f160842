"""What `videolm generate` is asked for, and request.json, which keeps it beside results that fill a folder.

Each record is a group of the command's options (cli/arguments.py); its docstring is their help. Nothing here
imports torch, so that the help is instant and a missing file is named at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.runtime.made_with import MadeWith
from ..data.runtime.model_source import source_name
from ..data.runtime.one_writer import is_lock
from ..lm.decoding.sampling import DrawSettings, Sampling

if TYPE_CHECKING:
    from .prompt import Prompt

KNOWN = "known"  # the judge of paintings
DESCRIBE = "describe"  # the judge that reads words of the embedded corpus
DTYPES = ("float32", "bfloat16")
# The task of a prompt by what is given of it, where that says it all.
_TASKS_OF = {
    ("text",): "text_to_video",
    ("image",): "image_to_video",
    ("text", "image"): "image_to_video",
    ("audio",): "audio_to_video",
}


@dataclass(frozen=True)
class TaskOptions:
    """The task, by its name or its file.

    Args:
        task: name of the task; if not given, text_to_video for a text, image_to_video for an image,
            audio_to_video for a sound.
        task_file: in its place, a file of your own that defines it. It is code, and is run.
    """

    task: str | None = None
    task_file: Path | None = None

    def __post_init__(self) -> None:
        if self.task is not None and self.task_file is not None:
            raise ValueError("give the name of a task (--task) or a file of your own (--task-file)")

    def name_for(self, prompt: "PromptOptions") -> str:
        """What `load_task` takes: as given, else the one task that the prompt can be for.

        Raises:
            ValueError: if none is given, and the prompt may be for several or for none.
        """
        if self.task is not None or self.task_file is not None:
            return str(self.task if self.task is not None else self.task_file)
        parts = ("text", "image", "video", "audio", "mask")
        given = tuple(name for name in parts if getattr(prompt, name) is not None)
        if given not in _TASKS_OF:
            several = f"{' and '.join(given)} may be for several tasks;"
            told = several if given else "a prompt, such as --text, is missing;"
            raise ValueError(f"{told} give the name of a task (--task) or a file of your own (--task-file)")
        return _TASKS_OF[given]


@dataclass(frozen=True)
class PromptOptions:
    """What a clip is generated from, as texts and names of files.

    Args:
        text: what is to be seen.
        negative: what is not to be seen; needs a guidance scale above 1.
        image: first frame.
        video: video to go on from, to paint in or around, to restyle, or to make sound for.
        audio: sound to make a video for.
        mask: what to paint: an image or video that is white there and black elsewhere, or the name of a usual
            mask (box, moving box, centre, vertical, horizontal, moving strip).
        aspect: of the frames, width to height as 16:9, or their size as HEIGHTxWIDTH: of the sizes that the
            model was trained on (`videolm info`) the nearest; else the model's default. Outpainting shows the
            whole video in it and paints what is left.
        frames: of the clip; the model must have been trained on clips of so many.
        seconds: in place of frames; `videolm long-video` makes longer ones than the model was trained on.
    """

    text: str | None = None
    negative: str | None = None
    image: Path | None = None
    video: Path | None = None
    audio: Path | None = None
    mask: str | None = None
    aspect: str | None = None
    frames: int | None = None
    seconds: float | None = None

    def check_files(self) -> None:
        """Raise a FileNotFoundError if a file is missing; a mask may be the name of a usual one."""
        for name in ("image", "video", "audio"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                raise FileNotFoundError(f"there is no file {path} for the {name}")

    @property
    def prompt(self) -> "Prompt":
        """The prompt; its files are not read yet.

        Raises:
            ValueError: if the aspect is written in another way, or both frames and seconds are given.
        """
        from ..tasks.clip_size import size_of
        from .prompt import Prompt

        return Prompt(
            text=self.text,
            negative=self.negative,
            image=self.image,
            video=self.video,
            audio=self.audio,
            mask=self.mask,
            size=size_of(self.aspect, self.frames, self.seconds),
        )


@dataclass(frozen=True)
class Results:
    """What becomes of a prompt: how many clips, which one is kept, how it is finished.

    Args:
        num_samples: clips of each prompt, with a sheet of all of them.
        best_of: make so many of each prompt (of a long video: of each segment) and keep the best one.
        judge: of the best: describe (what fits the text, in words of the embedded corpus), the folder of a
            CLIP model (likewise), or known (of painting: what comes nearest to the known pixels; needs no
            text).
        raw: leave a painted video as it is decoded; else its known pixels are put back.
        preview: file to show the frames in while they are generated; it grows.
        upscale: 2 or 4: make the clips so many times as high and wide, by the model's stages of
            super-resolution.

    Raises:
        ValueError: if these exclude each other.
    """

    num_samples: int = 1
    best_of: int = 1
    judge: str = DESCRIBE
    raw: bool = False
    preview: Path | None = None
    upscale: int | None = None

    def __post_init__(self) -> None:
        if self.upscale not in (None, 2, 4):
            raise ValueError(f"upscale is {self.upscale}; expected 2 or 4")
        if self.preview is not None and self.tries > 1:
            raise ValueError("a preview shows a single clip; leave out num_samples and best_of")
        if self.num_samples < 1 or self.best_of < 1:
            raise ValueError(
                f"num_samples is {self.num_samples} and best_of {self.best_of}; expected 1 or more"
            )
        if self.num_samples > 1 and self.best_of > 1:
            raise ValueError("give either num_samples, to see all, or best_of, to keep one")

    @property
    def compares_known(self) -> bool:
        """Whether the best of several paintings is chosen by its known pixels."""
        return self.best_of > 1 and self.judge == KNOWN

    @property
    def tries(self) -> int:
        """Clips that are generated from each prompt."""
        return self.num_samples * self.best_of


@dataclass(frozen=True)
class Expansion:
    """Who rewrites short texts.

    Args:
        expand: rewrite each text as a long caption, by an OpenAI-compatible server (http://localhost:8000/v1)
            or a chat model of transformers in a folder; printed, kept in NAME.json beside the clip, and used
            again while text and captioner are the same.
        expand_model: which of the server's models.
    """

    expand: str | None = None
    expand_model: str | None = None


@dataclass(frozen=True)
class Runtime:
    """How the model runs.

    Args:
        quantize: int8: weights of 8 bits, for faster generation with slightly different probabilities.
        device: auto is a GPU if there is one; else cpu, cuda, cuda:1 and so on.
        dtype: of the language model: float32, or bfloat16, in which a GPU is nearly twice as fast.

    Raises:
        ValueError: if there is no such dtype or quantization.
    """

    quantize: str | None = None
    device: str = "auto"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}; expected {' or '.join(DTYPES)}")
        if self.quantize not in (None, "int8"):
            raise ValueError(f"quantize is {self.quantize!r}; expected int8")

    @property
    def is_exact(self) -> bool:
        """Whether a clip does not depend on those that are generated beside it: with few bits a difference
        in the last of them may change a choice."""
        return self.quantize is None and self.dtype == "float32"


@dataclass(frozen=True)
class Request:
    """What to generate.

    Args:
        model: folder.
        task: name or file.
        prompt: of the clip; with a file of prompts, what holds for all of them.
        depth: how depth is found, for tasks that need it (`geometry_for`).
        sampling: how codes are drawn; what it leaves open is as the model recommends.
        seed: of the first clip; the next has the next.
    """

    model: Path
    task: str
    prompt: PromptOptions = field(default_factory=PromptOptions)
    depth: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    results: Results = field(default_factory=Results)
    expansion: Expansion = field(default_factory=Expansion)
    runtime: Runtime = field(default_factory=Runtime)

    def check_files(self) -> None:
        """Raise a FileNotFoundError if the model folder or an input is missing."""
        if not self.model.is_dir():
            raise FileNotFoundError(f"no model folder {self.model}")
        self.prompt.check_files()

    def settings(self, how: DrawSettings) -> dict[str, str]:
        """All that the clips follow from, as request.json has always kept it: words, flat.

        A run that an earlier version began goes on only while these words stay as they are.

        Args:
            how: codes are drawn, as the sampling and the model's recommendation say together.
        """
        prompt = self.prompt.prompt
        given = {name: getattr(prompt, name) for name in _GIVEN}
        values = {"model": source_name(self.model), "task": self.task, "given": given, "depth": self.depth}
        values |= {"sampling": asdict(how), "seed": self.seed}
        values |= asdict(self.results) | asdict(self.expansion) | asdict(self.runtime)
        values["composite"] = not values.pop("raw")
        if values["upscale"] is None:  # which earlier versions did not know
            del values["upscale"]
        return {name: str(value) for name, value in values.items()}


_GIVEN = ("text", "negative", "image", "video", "audio", "mask", "size")


def claim_folder(
    folder: Path, settings: Mapping[str, Any], results: str, targets: Sequence[Path] = ()
) -> None:
    """Note in request.json what is asked for; a folder that holds no results yet may be claimed anew.

    Args:
        results: what the folder is filled with, for the message.
        targets: what is to be written there.

    Raises:
        ValueError: if it holds results of another request, or one of the targets and no request.
    """
    record = MadeWith(folder / "request.json", settings)
    foreign = [] if record.found is not None else [path for path in targets if path.exists()]
    if foreign:
        raise ValueError(
            f"{folder} holds {foreign[0].name} and no request.json: it is not of this run, and is not "
            "overwritten; remove it or choose another folder"
        )
    if folder.is_dir() and any(path != record.path and not is_lock(path) for path in folder.iterdir()):
        record.claim(results)
    else:
        record.write()
