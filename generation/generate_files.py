"""What `videolm generate` does: prompts from flags or a file, clips to files.

With a file of prompts the folder fills clip by clip, and a run that was stopped goes on with those that
are missing: every clip has a seed of its own.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ..data.analysis.open_geometry import geometry_of
from ..data.curation.open_captioner import captioner_of
from ..data.media.clip import Clip, write_clip
from ..data.media.contact_sheet import sheet
from ..data.media.targets import check_target
from ..data.runtime.files import replacing
from ..data.runtime.progress import Report, progress
from ..lm.decoding.quantized import quantize
from ..lm.decoding.sampling import Sampling
from ..tasks.conditions import Painting
from ..tasks.task import Task, load_task
from .best_of import Fit, best, fit_of
from .pipeline import VideoLM
from .prompt import Prompt
from .prompt_expansion import Expander
from .prompt_file import NamedPrompt, read_prompts
from .run_request import claim_folder
from .streaming import write_preview

_TOGETHER = 32  # clips after which results are written
_KNOWN = "known"  # a judge, of tasks that paint
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Request:
    """What to generate.

    Args:
        model: folder.
        task: name or file.
        given: fields of `Prompt`, but for the geometry.
        sampling: fields of `Sampling`.
        seed: of the first clip; the next has the next.
        num_samples: clips of each prompt.
        best_of: clips of each prompt of which only the best is kept.
        judge: of which is the best: "describe", the folder of a CLIP model, or "known" (`nearest_known`).
        depth: how depth is found, for tasks that need it.
        composite: known pixels of a painted video come back as they were.
        expand: who expands texts: the address of a server or a folder; nobody if not given.
        expand_model: which of the server's models.
        quantize: "int8" turns the language model's weights into 8 bits.
        preview: file that shows the frames of a single clip while it is generated.
        device: of the model.
        dtype: of the language model's weights.
    """

    model: Path
    task: str
    given: dict[str, Any]
    sampling: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    num_samples: int = 1
    best_of: int = 1
    judge: str = "describe"
    depth: str | None = None
    composite: bool = True
    expand: str | None = None
    expand_model: str | None = None
    quantize: str | None = None
    preview: Path | None = None
    device: str = "auto"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}; expected {' or '.join(_DTYPES)}")
        if self.quantize not in (None, "int8"):
            raise ValueError(f"quantize is {self.quantize!r}; expected int8")
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
        """Whether the best of several paintings is chosen by what is known."""
        return self.best_of > 1 and self.judge == _KNOWN

    @property
    def tries(self) -> int:
        """Clips that are made of each prompt."""
        return self.num_samples * self.best_of


def generate_files(request: Request, out: Path, prompts: Path | None = None) -> list[Path]:
    """Generate and write clips; returns their paths.

    Raises:
        FileNotFoundError, ValueError: for what cannot be used, before the model is loaded where possible.
    """
    if request.preview is not None:
        if prompts is not None:
            raise ValueError("a preview shows a single clip; leave out --prompts")
        check_target(request.preview)
    if prompts is None:
        check_target(out)
        named = [NamedPrompt(out.stem, request.given)]
        folder, suffix = out.parent, out.suffix
    else:
        named = read_prompts(prompts, request.given)
        folder, suffix = out, ".mp4"
        _check_folder(out, request, prompts)
    task = load_task(request.task)
    rows = [(each, Prompt(**each.given)) for each in named]
    rows[0][1].check(task, request.sampling.get("guidance_scale", 1.0))
    if request.best_of > 1:
        _check_judge(request, task, [prompt for _, prompt in rows])
    fit = fit_of(request.judge) if request.best_of > 1 and not request.compares_known else None
    geometry = geometry_of(request.depth)
    waiting = [
        (number, each.name, replace(prompt, geometry=geometry))
        for number, (each, prompt) in enumerate(rows)
        if prompts is None or not _targets(folder, each.name, suffix, request.num_samples)[-1].is_file()
    ]
    if waiting and request.expand is not None:
        waiting = _expanded(request, waiting, folder)
    if waiting:
        _make(request, waiting, folder, suffix, fit)
    return [path for each in named for path in _targets(folder, each.name, suffix, request.num_samples)]


def _check_judge(request: Request, task: Task, prompts: list[Prompt]) -> None:
    """Refuse a judge that has nothing to go by."""
    paints = isinstance(task.conditions, Painting)
    if request.compares_known and not paints:
        raise ValueError(f"task {task.name} paints nothing; --judge known compares known pixels of paintings")
    if not request.compares_known and any(prompt.text is None for prompt in prompts):
        hint = ", or choose with --judge known" if paints else ""
        raise ValueError(f"best_of compares clips with their text; give one{hint}")


def _make(
    request: Request, waiting: list[tuple[int, str, Prompt]], folder: Path, suffix: str, fit: Fit | None
) -> None:
    """Generate prompts by number, name and content, and write each group as soon as it is there."""
    pipeline = VideoLM.from_pretrained(request.model, request.device, _DTYPES[request.dtype])
    if request.quantize is not None:
        quantize(pipeline.lm)
    together = max(_TOGETHER // request.tries, 1)
    total = len(waiting) * request.tries
    with notes(), progress(f"generate {load_task(request.task).name}", total) as report:
        for start in range(0, len(waiting), together):
            group = waiting[start : start + together]
            if request.preview is not None:
                _write([_previewed(pipeline, request, group[0][2], report)], folder, group[0][1], suffix)
                return
            made = _made(
                pipeline,
                request,
                [prompt for _, _, prompt in group],
                seeds=[request.seed + number * request.tries for number, _, _ in group],
                fit=fit,
                tell=lambda done, before=start: report(before * request.tries + done),
            )
            for (_, name, _), clips in zip(group, made, strict=True):
                _write(clips, folder, name, suffix)


def _made(
    pipeline: VideoLM,
    request: Request,
    prompts: list[Prompt],
    seeds: list[int],
    fit: Fit | None,
    tell: Callable[[float], None],
) -> list[list[Clip]]:
    """The clips of each prompt: all its samples, or the best of its tries.

    Args:
        seeds: of each prompt's first clip; its next has the next.
    """
    task, count, sampling = request.task, request.tries, Sampling(**request.sampling)
    how = {"sampling": sampling, "progress": tell, "composite": request.composite}
    if request.compares_known:
        return [[clip] for clip in pipeline.paint_best(task, prompts, count, seed=seeds, **how)]
    repeated = [prompt for prompt in prompts for _ in range(count)]
    clips = pipeline.generate_batch(
        task, repeated, seed=[first + own for first in seeds for own in range(count)], **how
    )
    samples = [clips[start : start + count] for start in range(0, len(clips), count)]
    if fit is None:
        return samples
    return [[best(each, prompt.text, fit)] for each, prompt in zip(samples, prompts, strict=True)]


def _expanded(
    request: Request, waiting: list[tuple[int, str, Prompt]], folder: Path
) -> list[tuple[int, str, Prompt]]:
    """The prompts with their texts expanded, each printed and kept beside the clip that is to come."""
    expand = Expander(captioner_of(str(request.expand), request.expand_model), request.model)
    result = []
    with progress("expand texts", len(waiting)) as report:
        for number, name, prompt in waiting:
            if prompt.text is None:
                raise ValueError(f"{name} has no text to expand; leave out --expand")
            caption = expand(prompt.text, folder / f"{name}.json")
            print(f"{name}: {caption}")
            result.append((number, name, replace(prompt, expanded=caption)))
            report(len(result))
    return result


def _previewed(pipeline: VideoLM, request: Request, prompt: Prompt, report: Report) -> Clip:
    assert request.preview is not None
    sampling, composite = Sampling(**request.sampling), request.composite
    stream = pipeline.stream(
        request.task, prompt, seed=request.seed, sampling=sampling, composite=composite
    )
    write_preview(stream, request.preview, report)
    return stream.finished


@contextmanager
def notes() -> Iterator[None]:
    """Warnings of the block, each printed once, as notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for message in dict.fromkeys(str(note.message) for note in caught if note.category is UserWarning):
        print(f"note: {message}")


def _write(clips: list[Clip], folder: Path, name: str, suffix: str) -> None:
    targets = _targets(folder, name, suffix, len(clips))
    for clip, path in zip(clips, targets, strict=False):
        write_clip(clip, path)
    if len(clips) > 1:
        with replacing(targets[-1]) as temporary:
            rows = [(clip.frames, path.name) for clip, path in zip(clips, targets, strict=False)]
            sheet(rows).save(temporary)


def _targets(folder: Path, name: str, suffix: str, num_samples: int) -> list[Path]:
    """The files of one prompt; of several samples, one more with all of them side by side."""
    if num_samples == 1:
        return [folder / f"{name}{suffix}"]
    return [folder / f"{name}-{index}{suffix}" for index in range(num_samples)] + [
        folder / f"{name}-sheet.png"
    ]


def _check_folder(out: Path, request: Request, prompts: Path) -> None:
    """A folder for the clips, which holds none of another request."""
    if out.suffix:
        raise ValueError(f"--out is {out}; with --prompts it is a folder for 000.mp4, 001.mp4, …")
    if not out.is_dir():
        raise FileNotFoundError(f"there is no folder {out} to write the clips to; make it first")
    asked = {name: str(value) for name, value in asdict(request).items()}
    claim_folder(out, asked | {"prompts": hashlib.sha256(prompts.read_bytes()).hexdigest()})
