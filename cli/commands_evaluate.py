"""The command `videolm evaluate`; its signature and docstring are its help."""

from pathlib import Path


def evaluate(
    *,
    model: Path | None = None,
    protocol: str = "shapes",
    real: Path | None = None,
    generated: Path | None = None,
    source: str = "synthetic",
    data: Path | None = None,
    depth: str | None = None,
    weights: Path | None = None,
    trust: bool = False,
    out: Path | None = None,
    clips: int | None = None,
    tasks: str = "",
    num_frames: int = 16,
    fps: float | None = None,
    height: int | None = None,
    width: int | None = None,
    splits: int = 1,
    seed: int = 0,
    temperature: float = 1.0,
    top_p: float | None = None,
    guidance_scale: float = 1.0,
    logger: str = "csv",
    rank: int = 0,
    world: int = 1,
) -> list[Path]:
    """Score a model by a protocol, or anybody's clips against real ones; writes report.json and index.html.

    With --model a protocol is run; with --real and --generated two sets of clips are compared. Scores that
    need weights of other networks say "not computed" without them. Stopped and started again, it goes on.

    Args:
        model: model folder.
        protocol: shapes (the embedded corpus; what the clips show is read from their pixels and sound),
            shapes-all (the same with all tasks), or one of the literature: msr-vtt, ucf101, kinetics600,
            ssv2-inpainting, ssv2-outpainting, davis or sound.
        real: real clips: a folder or list, as `videolm data inspect` takes it.
        generated: clips to score against them; those of the same name are compared frame by frame, too.
        source: of the first two: where prompts are drawn from, synthetic, synthetic-plain or
            synthetic-lasting, as in training.
        data: of a protocol of the literature: the folder of its data set; an error says how it should look.
        depth: of davis: folder of a depth model of transformers, or "none" for the same depth everywhere.
        weights: folder with weights of networks; evaluation/metrics/weights_folder.py names the files.
        trust: run TorchScript files in that folder; they are programs.
        out: folder to write to; an "evaluation" beside the model or the generated clips if not given.
        clips: how many are generated, if not as many as the protocol asks for; of the first two: per task
            and kind of held-out prompt, 128 if not given.
        tasks: of the first two: only these, names with commas; all of the model's if not given.
        num_frames: of two sets: frames of each clip that are compared, from its start; 1 compares images.
        fps: of two sets: to which clips are converted; not given, they stay as they are.
        height: of two sets: to which clips are scaled first, with --width; not given, they stay as they are.
        width: likewise.
        splits: of two sets: parts of the inception score.
        seed: of the sampling, and of subsets in scores.
        temperature: of the sampling.
        top_p: of the sampling.
        guidance_scale: for the tasks that a text leads.
        logger: where scores go as well: csv, tensorboard, wandb (off-line), or several with commas.
        rank: number of this process among those that share the work.
        world: how many they are; each is started by you with the same --out.
    """
    from ..evaluation.score_logging import logger_names

    loggers = logger_names(logger)
    if real is not None or generated is not None:
        from ..evaluation.metrics.weights_folder import WeightsFolder
        from ..evaluation.set_evaluation import SetSettings, evaluate_sets

        if real is None or generated is None or model is not None:
            raise ValueError("expected --real and --generated together and without --model")
        if (height is None) != (width is None):
            raise ValueError("expected --height and --width together or neither")
        size = (height, width) if height is not None and width is not None else None
        settings = SetSettings(num_frames, fps, size, seed, splits)
        out = out or generated.absolute().parent / "evaluation"
        found = WeightsFolder(weights, trust)
        return evaluate_sets(real, generated, out, settings, found, rank=rank, world=world, loggers=loggers)
    if model is None:
        raise ValueError("expected --model, or --real and --generated")
    from ..evaluation.evaluate_model import PROTOCOLS, check_protocol, evaluate_model

    check_protocol(protocol)
    sampling = {"temperature": temperature, "top_p": top_p, "guidance_scale": guidance_scale}
    if protocol in PROTOCOLS:
        out = out or model.parent / "evaluation"
        names = [name.strip() for name in tasks.split(",") if name.strip()]
        return evaluate_model(model, protocol, source, out, clips or 128, seed, sampling, names)
    from ..data.analysis.open_geometry import geometry_of
    from ..evaluation.benchmark_run import RunSettings, run_benchmark
    from ..evaluation.metrics.weights_folder import WeightsFolder
    from ..evaluation.protocols.registry import BENCHMARKS
    from ..lm.decoding.sampling import Sampling

    benchmark = BENCHMARKS[protocol]
    if data is None:
        raise ValueError(f"protocol {protocol} needs --data, a folder with {benchmark.layout}")
    return run_benchmark(
        benchmark,
        model,
        data,
        out or model.parent / f"evaluation-{protocol}",
        RunSettings(clips, seed, Sampling(**sampling)),
        WeightsFolder(weights, trust),
        geometry=geometry_of(depth),
        rank=rank,
        world=world,
        loggers=loggers,
    )


def tokenizer_score(
    source: str,
    *,
    model: Path,
    out: Path,
    where: list[str] | None = None,
    clips: int = 32,
    split: str = "triples",
    height: int = 64,
    width: int = 64,
    num_frames: int = 9,
    fps: float = 8.0,
    lpips: Path | None = None,
    weights: Path | None = None,
    trust: bool = False,
    seed: int = 0,
) -> list[Path]:
    """Score a video tokenizer on held-out clips; prints a table, writes scores.json and a curve by frame.

    Beside the tokenizer stand predictions that need none, such as repeating the last frame seen.

    Args:
        source: "synthetic", "synthetic-plain" or "synthetic-lasting" (the embedded corpus), a folder of clips
            (with a captions.jsonl) or a captions.jsonl.
        model: model folder with a video_tokenizer.
        out: folder to write to.
        where: key=value: only entries that have it; may be repeated.
        clips: how many; of a folder or list the last ones, which training holds out.
        split: of the synthetic source; triples are combinations held out of training.
        height: of the frames; files are resized and cropped.
        width: of the frames.
        num_frames: per clip.
        fps: frames per second; files are converted.
        lpips: file with the weights of LPIPS (VGG16 and its linear layers), for a column more.
        weights: folder with weights of I3D, for rFVD, and of LPIPS; names as for `videolm evaluate`.
        trust: run TorchScript files in that folder; they are programs.
        seed: of the synthetic source.
    """
    from ..data.sources.selection import conditions
    from ..evaluation.metrics.weights_folder import WeightsFolder
    from ..evaluation.tokenizer_scores import score_source

    return score_source(
        source,
        model,
        out,
        where=conditions(where or []),
        clips=clips,
        split=split,
        height=height,
        width=width,
        num_frames=num_frames,
        fps=fps,
        lpips=lpips,
        weights=WeightsFolder(weights, trust),
        seed=seed,
    )


def audio_score(
    source: str,
    *,
    model: Path,
    out: Path,
    where: list[str] | None = None,
    clips: int = 32,
    split: str = "triples",
    num_frames: int = 17,
    fps: float = 8.0,
    seed: int = 0,
) -> list[Path]:
    """Score an audio codec on held-out sounds; prints a table, writes scores.json and spectrograms.

    Beside the codec stand its first levels, mu-law samples at its bit rate, and random codebooks.

    Args:
        source: "synthetic", "synthetic-plain" or "synthetic-lasting" (the embedded corpus), a folder of clips
            (with a captions.jsonl) or a captions.jsonl; the clips need pictures, too.
        model: model folder with an audio_tokenizer.
        out: folder to write to.
        where: key=value: only entries that have it; may be repeated.
        clips: how many; of a folder or list the last ones, which training holds out.
        split: of the synthetic source; triples are combinations held out of training.
        num_frames: per clip; its sound lasts num_frames / fps seconds.
        fps: frames per second; files are converted.
        seed: of the synthetic source and of the random codebooks.
    """
    from ..data.sources.selection import conditions
    from ..evaluation.audio_scores import score_source

    return score_source(
        source,
        model,
        out,
        where=conditions(where or []),
        clips=clips,
        split=split,
        num_frames=num_frames,
        fps=fps,
        seed=seed,
    )
