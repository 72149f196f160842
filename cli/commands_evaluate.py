"""The commands that score: `videolm evaluate`, `tokenizer score` and `audio score`."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

from ..data.codes.trained_clips import SIZES, ClipSize
from ..data.runtime.model_source import model_folder
from ..data.sources.selection import ClipSelection
from ..lm.decoding.sampling import Sampling
from .arguments import Options


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of all jobs of `evaluate`. What is not given is as evaluation/jobs.py says.

    Args:
        model: as for `videolm generate`, but it has to be given.
        protocol: shapes (the embedded corpus; what the clips show is read from their pixels and sound),
            shapes-all (the same with all tasks), prompt-forms (text_to_video with prompts as people write
            them), super-resolution (its stages, on clips of the embedded corpus), world (recorded episodes
            of --data), or one of the literature: msr-vtt, ucf101, kinetics600, ssv2-inpainting,
            ssv2-outpainting, davis or sound. shapes if not given.
        real: real clips: a folder or list, as `videolm data inspect` takes it.
        generated: clips to score against them; those of the same name are compared frame by frame, too.
        source: of the embedded corpus: where prompts are drawn from, synthetic, synthetic-plain or
            synthetic-lasting, as in training; synthetic if not given.
        data: of a protocol of the literature: the folder of its data set; an error says how it should look.
            Of world: clips with actions that the model has not seen, as of `videolm record`.
        env: of world: the environment, as for `videolm record`; with it returns in the dream are compared
            with real ones.
        policy: of world: who acts for the returns, as for `videolm record`; random if not given.
        depth: of davis: folder of a depth model of transformers, or "none" for the same depth everywhere.
        weights: of all but the embedded corpus: folder with weights of networks;
            evaluation/metrics/weights_folder.py names the files.
        trust: run TorchScript files in that folder; they are programs.
        out: folder to write to; an "evaluation" beside the model or the generated clips if not given, of a
            packaged model and one on the hub in runs/.
        store_scores: of a model folder: write the scores into it, too (scores.json and README.md).
        clips: how many are generated, if not as many as the protocol asks for; of the embedded corpus: per
            task and kind of held-out prompt, 128 if not given.
        tasks: of the embedded corpus: only these, names with commas; all of the model's if not given.
        num_frames: of two sets: frames of each clip that are compared, from its start; 1 compares images. 16
            if not given.
        fps: of two sets: to which clips are converted; not given, they stay as they are.
        height: of two sets: to which clips are scaled first, with --width; not given, they stay as they are.
        width: likewise.
        splits: of two sets: parts of the inception score; 1 if not given.
        seed: of the sampling, and of subsets in scores; 0 if not given.
        logger: of all but the embedded corpus: where scores go as well: csv, tensorboard, wandb
            (off-line), or several with commas; csv if not given.
        rank: of all but the embedded corpus: number of this process among those that share the work; 0 if
            not given.
        world: how many they are; each is started by you with the same --out. 1 if not given.
    """

    model: str | None = None
    protocol: str | None = None
    real: Path | None = None
    generated: Path | None = None
    source: str | None = None
    data: Path | None = None
    env: str | None = None
    policy: str | None = None
    depth: str | None = None
    weights: Path | None = None
    trust: bool = False
    out: Path | None = None
    store_scores: bool = True
    clips: int | None = None
    tasks: str | None = None
    num_frames: int | None = None
    fps: float | None = None
    height: int | None = None
    width: int | None = None
    splits: int | None = None
    seed: int | None = None
    logger: str | None = None
    rank: int | None = None
    world: int | None = None


def evaluate(*, options: EvaluateOptions, sampling: Sampling) -> list[Path]:
    """Score a model by a protocol, or anybody's clips against real ones; writes report.json and index.html.

    With --model a protocol is run; with --real and --generated two sets of clips are compared. Scores that
    need weights of other networks say "not computed" without them. Stopped and started again, it goes on. An
    option that the job does not use is an error.
    """
    from ..evaluation.jobs import job_of
    from ..evaluation.score_logging import logger_names

    given = _given(options) | _given(sampling)
    if options.tasks is not None:
        given["tasks"] = _names(options.tasks)
    if options.logger is not None:
        given["logger"] = logger_names(options.logger)
    return job_of(given).run()


def sampling_search(
    *,
    model: Path,
    protocol: str = "shapes",
    source: str = "synthetic",
    out: Path | None = None,
    tasks: str | None = None,
    clips: int = 64,
    seed: int = 0,
    temperatures: str = "0.3,0.5,0.7,1",
    guidance_scales: str = "1,1.5,2,3",
    top_ps: str = "1",
    write: bool = False,
) -> list[Path]:
    """Find the sampling that suits each task best, on prompts of the embedded corpus as in training.

    Every combination of the values is scored on the same prompts, none of them held out; the best is compared
    with the defaults on fresh ones. Prints a table of each task; run again, it goes on where it was stopped.

    Args:
        model: model folder.
        protocol: shapes, or shapes-all for all tasks.
        source: where prompts are drawn from, synthetic, synthetic-plain or synthetic-lasting, as in training.
        out: folder to write to; "sampling-search" beside the model if not given.
        tasks: only these, names with commas; all but unconditional if not given.
        clips: of each combination.
        seed: of the prompts and the sampling.
        temperatures: to try, numbers with commas.
        guidance_scales: likewise, of tasks with a text.
        top_ps: likewise.
        write: recommend what is found: put it into the model folder.
    """
    from ..evaluation.choose_sampling import Tried, choose_sampling
    from ..evaluation.protocols.shapes_exam import ExamSettings

    tried = Tried(
        _numbers("temperatures", temperatures),
        _numbers("guidance-scales", guidance_scales),
        _numbers("top-ps", top_ps),
    )
    settings = ExamSettings(source, clips, seed, tasks=_names(tasks or ""))
    return choose_sampling(model, protocol, out or model.parent / "sampling-search", settings, tried, write)


def _numbers(option: str, text: str) -> list[float]:
    """Numbers with commas.

    Raises:
        ValueError: if they are none.
    """
    try:
        return [float(word) for word in _names(text)]
    except ValueError:
        wanted = f"numbers with commas for --{option}, such as 0.5,1"
        raise ValueError(f"expected {wanted}; got {text!r}") from None


def tokenizer_score(
    *,
    selection: Annotated[ClipSelection, Options(skip=SIZES)],
    size: ClipSize,
    model: str,
    out: Path,
    lpips: Path | None = None,
    weights: Path | None = None,
    trust: bool = False,
) -> list[Path]:
    """Score a video tokenizer on held-out clips; prints a table, writes scores.json and a curve by frame.

    Beside the tokenizer stand predictions that need none, such as repeating the last frame seen.

    Args:
        model: model folder with a video_tokenizer, or a name as for `videolm generate`.
        out: folder to write to.
        lpips: file with the weights of LPIPS (VGG16 and its linear layers), for a column more.
        weights: folder with weights of I3D, for rFVD, and of LPIPS; names as for `videolm evaluate`.
        trust: run TorchScript files in that folder; they are programs.
    """
    from ..data.runtime.one_writer import only_writer
    from ..evaluation.metrics.weights_folder import WeightsFolder
    from ..evaluation.tokenizer_scores import score_source

    folder = model_folder(model, "video_tokenizer")
    selection = replace(selection, **size.of(folder / "video_tokenizer").size)
    with only_writer(out):
        return score_source(selection, folder, out, lpips=lpips, weights=WeightsFolder(weights, trust))


def audio_score(
    *,
    selection: Annotated[ClipSelection, Options(skip=("height", "width"), num_frames=17)],
    model: str,
    out: Path,
) -> list[Path]:
    """Score an audio codec on held-out sounds; prints a table, writes scores.json and spectrograms.

    Beside the codec stand its first levels, mu-law samples at its bit rate, and random codebooks, which the
    seed draws. The clips need pictures, too; their sound lasts num_frames / fps seconds.

    Args:
        model: model folder with an audio_tokenizer, or a name as for `videolm generate`.
        out: folder to write to.
    """
    from ..data.runtime.one_writer import only_writer
    from ..evaluation.audio_report import score_source

    folder = model_folder(model, "audio_tokenizer")
    with only_writer(out):
        return score_source(selection, folder, out)


def _given(record: EvaluateOptions | Sampling) -> dict[str, Any]:
    """The options that were given: those that are not at their defaults."""
    names = [each.name for each in fields(record) if getattr(record, each.name) != each.default]
    return {name: getattr(record, name) for name in names}


def _names(text: str) -> tuple[str, ...]:
    """Words with commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())
