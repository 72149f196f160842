"""What `videolm generate` does: prompts from options or a file, clips to files.

With a file of prompts the folder fills clip by clip, and a run that was stopped goes on with those that
are missing: every clip has a seed of its own.
"""

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..data.analysis.open_geometry import geometry_for
from ..data.curation.open_captioner import captioner_of
from ..data.media.clip import Clip, write_clip
from ..data.media.contact_sheet import sheet
from ..data.media.targets import check_target
from ..data.runtime.checksums import file_hash
from ..data.runtime.files import replacing
from ..data.runtime.one_writer import only_writer
from ..data.runtime.progress import Report, progress
from ..lm.decoding.quantized import quantize
from ..tasks.clip_size import SizeChoice
from ..tasks.conditions import Painting
from ..tasks.model_config import ModelConfig, model_fingerprint
from ..tasks.recommended_sampling import RecommendedSampling
from ..tasks.task import Task, load_task
from .best_of import Fit, best, fit_of, paint_best, wanted_words
from .made_clips import MadeClips
from .notes import notes
from .pipeline import VideoLM
from .prompt import Prompt
from .prompt_expansion import Expander
from .prompt_file import NamedPrompt, read_prompts
from .run_request import DESCRIBE, Request, claim_folder
from .seeds import seed_of
from .streaming import write_preview
from .upscaling import path_of, read_stages

_TOGETHER = 32  # clips after which results are written
_SUFFIX = ".mp4"  # of clips whose names come from a file of prompts


@dataclass(frozen=True, eq=False)
class Waiting:
    """A prompt whose clips are not there yet, or are made once more for the sake of those beside them.

    Args:
        name: of its clips.
        seed: of the first of them.
        is_missing: whether they are to be written.
    """

    name: str
    prompt: Prompt
    seed: int
    is_missing: bool = True


def generate_files(request: Request, out: Path, prompts: Path | None = None) -> list[Path]:
    """Generate and write clips; returns their paths.

    Args:
        out: the file of the clip; with a file of `prompts` the folder of their clips.

    Raises:
        FileNotFoundError, ValueError: for what cannot be used, before the model is loaded where possible.
    """
    if prompts is not None and out.suffix:
        raise ValueError(f"--out is {out}; with --prompts it is a folder for 000.mp4, 001.mp4, …")
    if prompts is not None:
        out.mkdir(parents=True, exist_ok=True)
    with notes(), nullcontext() if prompts is None else only_writer(out):
        return _generate_files(request, out, prompts)


def _generate_files(request: Request, out: Path, prompts: Path | None) -> list[Path]:
    named, folder, suffix = _named_prompts(request, out, prompts)
    task = ModelConfig.load(request.model).task(request.task)
    for each in named:
        try:
            each.options.prompt.check(task, request.sampling.guidance_scale)
        except ValueError as error:
            raise ValueError(str(error) if prompts is None else f"prompt {each.name}: {error}") from None
    if request.results.upscale is not None:
        prompts_given = [each.options.prompt for each in named]
        _check_upscale(request.model, task, request.results.upscale, prompts_given)
    if request.results.best_of > 1:
        _check_judge(request, task, [each.options.text for each in named])
    fit = None
    if request.results.best_of > 1 and not request.results.compares_known:
        fit = fit_of(request.results.judge)
    targets = [_targets(folder, each.name, suffix, request.results.num_samples) for each in named]
    missing, written = list(range(len(named))), None
    if prompts is not None:
        _claim(request, prompts, named, folder, [path for paths in targets for path in paths])
        written = MadeClips(folder)
        missing = [number for number in missing if not written.holds(named[number].name, targets[number])]
        if again := sum(targets[number][-1].exists() for number in missing):
            print(f"{again} clips in {folder} are not as this run wrote them, and are made again")
    made = missing if request.runtime.is_exact else _with_those_beside(missing, request, len(named))
    for number in made:
        named[number].options.check_files()
    geometry = geometry_for(task.variants, request.depth)
    waiting = [
        Waiting(
            named[number].name,
            replace(named[number].options.prompt, geometry=geometry),
            _first_seed(request, number, named[number].seed),
            number in missing,
        )
        for number in made
    ]
    if waiting and request.expansion.expand is not None:
        waiting = _expanded(request, waiting, folder)
    if waiting:
        _make(request, waiting, folder, suffix, fit, written)
    return [path for paths in targets for path in paths]


def _named_prompts(request: Request, out: Path, prompts: Path | None) -> tuple[list[NamedPrompt], Path, str]:
    """The prompts, the folder of their clips, which holds none of another request, and the clips' suffix."""
    preview = request.results.preview
    if preview is not None:
        if prompts is not None:
            raise ValueError("a preview shows a single clip; leave out --prompts")
        check_target(preview)
    if prompts is None:
        check_target(out)
        return [NamedPrompt(out.stem, request.prompt)], out.parent, out.suffix
    named = read_prompts(prompts, request.prompt)
    return named, out, _SUFFIX


def _claim(
    request: Request, prompts: Path, named: list[NamedPrompt], folder: Path, targets: list[Path]
) -> None:
    """Note what the clips follow from: the request, and the contents of the model and of all files."""
    given = (getattr(each.options, name) for each in named for name in ("image", "video", "audio", "mask"))
    files = sorted({Path(each) for each in given if each is not None and Path(each).is_file()})
    contents = hashlib.sha256(" ".join(map(file_hash, files)).encode()).hexdigest()
    recommended = RecommendedSampling.load(request.model)
    how = recommended.settings(load_task(request.task).name, request.sampling)
    settings = request.settings(how) | {
        "model_fingerprint": model_fingerprint(request.model),
        "prompts": file_hash(prompts),
        "files": contents,
    }
    claim_folder(folder, settings, "clips", targets)


def _first_seed(request: Request, number: int, own: int | None) -> int:
    """The seed of a prompt's first clip: the one that it says, else after those of the prompts before."""
    count = request.results.tries
    return seed_of(request.seed + number * count if own is None else own, count)


def _check_judge(request: Request, task: Task, texts: list[str | None]) -> None:
    """Refuse a judge that has nothing to go by."""
    paints, by_known = isinstance(task.conditions, Painting), request.results.compares_known
    if by_known and not paints:
        raise ValueError(f"task {task.name} paints nothing; --judge known compares known pixels of paintings")
    hint = ", or choose with --judge known" if paints else ""
    if not by_known and None in texts:
        raise ValueError(f"best_of compares clips with their text; give one{hint}")
    if request.results.judge == DESCRIBE:
        for text in texts:
            wanted_words(text or "")


def _check_upscale(model: Path, task: Task, factor: int, prompts: list[Prompt]) -> None:
    """Refuse a model whose stages do not take its clips of the sizes that are asked for."""
    stages, config = read_stages(model), ModelConfig.load(model)
    for prompt in prompts:
        clips = (prompt.size or SizeChoice()).of(config.formats, task)
        path_of(stages, clips.height, clips.width, factor)


def _expanded(request: Request, waiting: list[Waiting], folder: Path) -> list[Waiting]:
    """The prompts with their texts expanded, each printed and kept beside the clip that is to come."""
    wanted = request.expansion
    expand = Expander(captioner_of(str(wanted.expand), wanted.expand_model), request.model)
    result = []
    with progress("expand texts", len(waiting)) as report:
        for each in waiting:
            if each.prompt.text is None:
                raise ValueError(f"{each.name} has no text to expand; leave out --expand")
            caption = expand(each.prompt.text, folder / f"{each.name}.json")
            print(f"{each.name}: {caption}")
            result.append(replace(each, prompt=replace(each.prompt, expanded=caption)))
            report(len(result))
    return result


def _make(
    request: Request,
    waiting: list[Waiting],
    folder: Path,
    suffix: str,
    fit: Fit | None,
    written: MadeClips | None,
) -> None:
    """Generate clips, and write those of each group of prompts as soon as they are there."""
    model = _loaded(request)
    tries, together = request.results.tries, _together(request)
    with progress(f"generate {load_task(request.task).name}", len(waiting) * tries) as report:
        for start in range(0, len(waiting), together):
            group = waiting[start : start + together]
            if request.results.preview is not None:
                made = [[_previewed(model, request, each, report)] for each in group]
            else:
                made = _made(model, request, group, fit, lambda done, at=start * tries: report(at + done))
            for each, clips in zip(group, made, strict=True):
                if each.is_missing:
                    clips = _upscaled(model, request, each, clips)
                    targets = _targets(folder, each.name, suffix, len(clips))
                    _write(clips, targets)
                    if written is not None:
                        written.note(each.name, targets)


def _together(request: Request) -> int:
    """Prompts of a group."""
    return max(_TOGETHER // request.results.tries, 1)


def _with_those_beside(missing: list[int], request: Request, count: int) -> list[int]:
    """The numbers of all prompts in the groups of those that are missing, of `count` prompts."""
    together = _together(request)
    groups = {number // together for number in missing}
    return [number for number in range(count) if number // together in groups]


def _loaded(request: Request) -> VideoLM:
    """The model as the request wants it to run."""
    runtime = request.runtime
    dtype = getattr(torch, runtime.dtype)
    model = VideoLM.from_pretrained(request.model, runtime.device, dtype, tasks=[request.task])
    if runtime.quantize is not None:
        quantize(model.lm)
    return model


def _made(
    model: VideoLM, request: Request, group: list[Waiting], fit: Fit | None, tell: Callable[[float], None]
) -> list[list[Clip]]:
    """The clips of each prompt: all its samples, or the best of its tries."""
    results, count = request.results, request.results.tries
    firsts = [each.seed for each in group]
    prompts = [each.prompt for each in group]
    if results.compares_known:
        best_clips = paint_best(
            model,
            request.task,
            prompts,
            count,
            seed=firsts,
            sampling=request.sampling,
            progress=tell,
            composite=not results.raw,
        )
        return [[clip] for clip in best_clips]
    clips = model.generate_batch(
        request.task,
        [prompt for prompt in prompts for _ in range(count)],
        seed=[first + own for first in firsts for own in range(count)],
        sampling=request.sampling,
        progress=tell,
        composite=not results.raw,
    )
    samples = [clips[start : start + count] for start in range(0, len(clips), count)]
    if fit is None:
        return samples
    return [[best(each, prompt.text, fit)] for each, prompt in zip(samples, prompts, strict=True)]


def _upscaled(model: VideoLM, request: Request, waiting: Waiting, clips: list[Clip]) -> list[Clip]:
    """The clips of a prompt as large as they are asked for, with its text where the stages read one."""
    factor, text = request.results.upscale, waiting.prompt.text
    if factor is None:
        return clips
    path = model.upscaler.path(clips[0].height, clips[0].width, factor)
    known = text if any(stage.has_text for stage in path) else None
    return [
        model.upscale(clip, text=known, factor=factor, seed=waiting.seed + number)
        for number, clip in enumerate(clips)
    ]


def _previewed(model: VideoLM, request: Request, waiting: Waiting, report: Report) -> Clip:
    """The clip, shown in a file while it is generated."""
    assert request.results.preview is not None
    stream = model.stream(
        request.task,
        waiting.prompt,
        seed=waiting.seed,
        sampling=request.sampling,
        composite=not request.results.raw,
    )
    write_preview(stream, request.results.preview, report)
    return stream.finished


def _write(clips: list[Clip], targets: list[Path]) -> None:
    """Write clips and, of several, the sheet that stands last among the targets."""
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
    samples = [folder / f"{name}-{index}{suffix}" for index in range(num_samples)]
    return [*samples, folder / f"{name}-sheet.png"]
