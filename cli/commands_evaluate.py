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
            shapes-all (the same with all tasks), or one of the literature: msr-vtt, ucf101, kinetics600,
            ssv2-inpainting, ssv2-outpainting, davis or sound. shapes if not given.
        real: real clips: a folder or list, as `videolm data inspect` takes it.
        generated: clips to score against them; those of the same name are compared frame by frame, too.
        source: of shapes and shapes-all: where prompts are drawn from, synthetic, synthetic-plain or
            synthetic-lasting, as in training; synthetic if not given.
        data: of a protocol of the literature: the folder of its data set; an error says how it should look.
        depth: of davis: folder of a depth model of transformers, or "none" for the same depth everywhere.
        weights: of all but shapes and shapes-all: folder with weights of networks;
            evaluation/metrics/weights_folder.py names the files.
        trust: run TorchScript files in that folder; they are programs.
        out: folder to write to; an "evaluation" beside the model or the generated clips if not given, of a
            packaged model and one on the hub in runs/.
        store_scores: of a model folder: write the scores into it, too (scores.json and README.md).
        clips: how many are generated, if not as many as the protocol asks for; of shapes and shapes-all: per
            task and kind of held-out prompt, 128 if not given.
        tasks: of shapes and shapes-all: only these, names with commas; all of the model's if not given.
        num_frames: of two sets: frames of each clip that are compared, from its start; 1 compares images. 16
            if not given.
        fps: of two sets: to which clips are converted; not given, they stay as they are.
        height: of two sets: to which clips are scaled first, with --width; not given, they stay as they are.
        width: likewise.
        splits: of two sets: parts of the inception score; 1 if not given.
        seed: of the sampling, and of subsets in scores; 0 if not given.
        logger: of all but shapes and shapes-all: where scores go as well: csv, tensorboard, wandb
            (off-line), or several with commas; csv if not given.
        rank: of all but shapes and shapes-all: number of this process among those that share the work; 0 if
            not given.
        world: how many they are; each is started by you with the same --out. 1 if not given.
    """

    model: str | None = None
    protocol: str | None = None
    real: Path | None = None
    generated: Path | None = None
    source: str | None = None
    data: Path | None = None
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
        given["tasks"] = tuple(name.strip() for name in options.tasks.split(",") if name.strip())
    if options.logger is not None:
        given["logger"] = logger_names(options.logger)
    return job_of(given).run()


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
