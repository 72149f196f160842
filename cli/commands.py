"""The commands: a function's signature and docstring are what `videolm COMMAND --help` shows.

Each imports what it needs when it is called and returns the paths it wrote.
"""

from pathlib import Path


def synthesize(
    *,
    out: Path,
    source: str = "synthetic",
    clips: int = 64,
    split: str = "all",
    height: int = 64,
    width: int = 64,
    num_frames: int = 9,
    fps: float = 8.0,
    sample_rate: int = 16000,
    seed: int = 0,
) -> list[Path]:
    """Write clips of the embedded corpus as mp4 files with a captions.jsonl.

    Args:
        out: folder to fill.
        source: synthetic, or synthetic-plain: one dark background, a still camera, less varied places; or
            synthetic-lasting: as that, but half of the clips spin or bounce, half of these already before.
        clips: how many.
        split: train, triples or pairs (combinations held out of training), or all.
        height: of the frames.
        width: of the frames.
        num_frames: per clip.
        fps: frames per second.
        sample_rate: of the sound.
        seed: another seed, other clips.
    """
    from ..data.synthetic.corpus import corpus_settings
    from .synthesize import write_corpus

    settings = {"height": height, "width": width, "num_frames": num_frames, "fps": fps}
    settings |= corpus_settings(source)
    return write_corpus(out, clips, split=split, sample_rate=sample_rate, seed=seed, **settings)


def tokenizer_fit(arguments: list[str]) -> list[Path]:
    """Train the video tokenizer: --config NAME_OR_YAML --out RUN; --help lists all settings."""
    from .stage_cli import fit

    return fit("tokenizer", arguments)


def tokenizer_validate(arguments: list[str]) -> list[Path]:
    """Score the trained video tokenizer of a run: --config NAME_OR_YAML --out RUN."""
    from .stage_cli import validate

    return validate("tokenizer", arguments)


def tokenizer_reconstruct(source: Path, target: Path, *, model: Path, tile: int = 0) -> list[Path]:
    """Encode a video, decode it again and write the result, with what the codes cost and lose.

    A video of any length and size is padded to whole blocks of the tokenizer and cut again.

    Args:
        source: a video or an image.
        target: file to write; the suffix names the format.
        model: model folder with a video_tokenizer and, to code the sound too, an audio_tokenizer.
        tile: code large frames in overlapping tiles of so many pixels, to save memory; 0 for whole frames.
    """
    from ..evaluation.reconstruct import reconstruct_file

    return [reconstruct_file(source, target, model, tile)]


def tokenizer_encode(source: Path, target: Path, *, model: Path) -> list[Path]:
    """Write the codes of a video's pictures, without its sound, as one small file.

    Args:
        source: a video or an image, of any length and size.
        target: file to write; its name ends in .codes.
        model: model folder with a video_tokenizer.
    """
    from ..evaluation.reconstruct import encode_file

    return [encode_file(source, target, model)]


def tokenizer_decode(source: Path, target: Path, *, model: Path) -> list[Path]:
    """Write the video of a file of codes; it has no sound.

    Args:
        source: a file that `videolm tokenizer encode` wrote.
        target: file to write; the suffix names the format.
        model: model folder with the video_tokenizer that made the codes.
    """
    from ..evaluation.reconstruct import decode_file

    return [decode_file(source, target, model)]


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
    from ..data.loading.clip_datamodule import conditions
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


def audio_fit(arguments: list[str]) -> list[Path]:
    """Train the audio codec: --config NAME_OR_YAML --out RUN; --help lists all settings."""
    from .stage_cli import fit

    return fit("audio", arguments)


def audio_validate(arguments: list[str]) -> list[Path]:
    """Score the trained audio codec of a run: --config NAME_OR_YAML --out RUN."""
    from .stage_cli import validate

    return validate("audio", arguments)


def audio_adopt(source: str, *, out: Path, levels: int | None = None) -> list[Path]:
    """Make a pretrained audio codec the audio tokenizer of a run, in the place of one trained there.

    Args:
        source: a folder of transformers' EncodecModel, DacModel or MimiModel; its name on Hugging Face's hub,
            such as descript/dac_16khz; or a checkpoint (.th) of the package encodec.
        out: run folder; writes OUT/model/audio_tokenizer.
        levels: residual levels to keep; 4 if not given, 8 of a Mimi.
    """
    from ..tokenizers.audio.foreign import adopt

    target = out / "model" / "audio_tokenizer"
    codec = adopt(source, target, levels)
    rate, sizes = codec.sample_rate / codec.hop_length, codec.codebook_sizes
    print(f"{codec.sample_rate} Hz, {rate:g} latents a second, {len(sizes)} levels of {sizes[0]} codes")
    return [target]


def audio_decode(source: Path, target: Path, *, model: Path, lm: Path | None = None) -> list[Path]:
    """Write the sound of a compressed file (.ecdc) of the package encodec.

    Args:
        source: a file of its 24 kHz model.
        target: .wav file to write.
        model: model folder whose audio_tokenizer is that model, with as many levels as the file or more.
        lm: checkpoint of encodec's language model, for files that were entropy-coded with it.
    """
    import torch

    from ..data.media.clip import Clip
    from ..data.media.reading import write_clip
    from ..data.media.targets import check_target
    from ..tokenizers.audio.encodec_package import SAMPLE_RATE, decode_ecdc
    from ..tokenizers.audio.protocol import load_audio_tokenizer

    check_target(target)
    waveform = decode_ecdc(source, load_audio_tokenizer(model / "audio_tokenizer"), lm)
    no_frames = torch.zeros(0, 1, 1, 3, dtype=torch.uint8)
    write_clip(Clip(no_frames, 1.0, waveform, SAMPLE_RATE), target)
    return [target]


def audio_reconstruct(source: Path, target: Path, *, model: Path) -> list[Path]:
    """Encode a sound, decode it again and write the result, with what the codes cost and lose.

    Prints seconds, bits per second, SI-SDR and log-mel distance. The sound is mixed to one channel.

    Args:
        source: any media file with sound.
        target: a .wav for the sound alone, or an .mp4 or .webm for the pictures with the decoded sound.
        model: model folder with an audio_tokenizer.
    """
    from ..evaluation.audio_reconstruct import reconstruct_sound

    return [reconstruct_sound(source, target, model)]


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
    from ..data.loading.clip_datamodule import conditions
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


def encode(
    source: str,
    *,
    model: Path,
    out: Path,
    where: list[str] | None = None,
    clips: int = 4096,
    split: str = "train",
    windows: int = 1,
    height: int = 64,
    width: int = 64,
    num_frames: int = 9,
    fps: float = 8.0,
    buckets: str | None = None,
    batch_size: int = 32,
    shard_size: int = 512,
    num_workers: int = 1,
    engine: str = "local",
    device: str = "auto",
    seed: int = 0,
    tasks: str = "",
    pad: list[str] | None = None,
    depth: str | None = None,
) -> list[Path]:
    """Turn clips into codes on disk, to train the language model on; goes on where it was stopped.

    Args:
        source: "synthetic", "synthetic-plain" or "synthetic-lasting" (the embedded corpus), or a folder,
            list, tar or data set as `videolm data inspect` takes it.
        model: folder with a video_tokenizer and, for sound, an audio_tokenizer.
        out: folder for the codes.
        where: key=value: only entries that have it; may be repeated.
        clips: how many, of the synthetic source.
        split: of the synthetic source.
        windows: clips cut from one file, at most.
        height: of the frames; files are resized and cropped.
        width: of the frames.
        num_frames: per clip.
        fps: frames per second; files are converted.
        buckets: in place of height, width and num_frames several sizes, such as
            17x128x128,17x224x128,1x128x128; each file goes to the longest that it fills, of the nearest
            aspect ratio, and each size gets a folder of its own in --out. `videolm lm fit` learns from all of
            them; the first size that has clips is the default of the model.
        batch_size: files that go through the tokenizers together.
        shard_size: files of a shard.
        num_workers: processes that read files, where one that hangs is given up; 0 reads in this process,
            unprotected. With ray: tokenizers side by side.
        engine: local, or ray (Ray Data, on one machine or many); both write the same shards.
        device: of the tokenizers; auto is a GPU if there is one.
        seed: of the synthetic source.
        tasks: names, or files of your own, separated by commas, or "all": those that are led by altered
            clips (inpainting, outpainting, stylization) have these coded as well.
        pad: task=black, grey, white or edge: what stands for unknown pixels; may be repeated.
        depth: for stylization with clips of your own: folder of a depth model of transformers, or "none".
    """
    from functools import partial

    from ..data.analysis.open_geometry import geometry_of
    from ..data.loading.clip_datamodule import conditions
    from ..tasks.task import tasks_named
    from ..tasks.training_data.clip_encoder import ClipEncoder
    from ..tasks.training_data.encode_shards import encode_ranges, ranges_of, sizes_of, summary
    from ..tasks.training_data.ray_engine import encode_with_ray

    if engine not in ("local", "ray"):
        raise ValueError(f"engine is {engine!r}; expected local or ray")
    sizes = [(num_frames, height, width)] if buckets is None else sizes_of(buckets)
    load = partial(
        ClipEncoder.from_pretrained,
        model,
        fps=fps,
        tasks=tasks_named(tasks, pad or []),
        geometry=geometry_of(depth),
    )
    chosen = {
        "where": conditions(where or []), "count": clips, "split": split, "windows": windows, "seed": seed,
    }  # fmt: skip
    make = partial(ranges_of, load, sizes, device, source, chosen, out, shard_size, batch_size)
    encoded = encode_with_ray(make, num_workers) if engine == "ray" else encode_ranges(make(), num_workers)
    print("\n".join(summary(encoded)))
    return [out]


def lm_fit(arguments: list[str]) -> list[Path]:
    """Train the language model: --config NAME_OR_YAML --out RUN; --help lists all settings."""
    from .stage_cli import fit

    return fit("lm", arguments)


def lm_validate(arguments: list[str]) -> list[Path]:
    """Score the trained language model of a run: --config NAME_OR_YAML --out RUN."""
    from .stage_cli import validate

    return validate("lm", arguments)


def info(
    model: str,
    *,
    devices: int | None = None,
    strategy: str | None = None,
    precision: str | None = None,
    batch_size: int | None = None,
    activation_checkpointing: int | None = None,
    size: str | None = None,
) -> None:
    """Print what a model folder holds, or what training by a config of the language model will cost.

    Of a config: parameters, operations and the memory of each device. The options say what to assume in
    place of what it says.

    Args:
        model: model folder, or the folder of one of its parts; or a config of `videolm lm fit`, by its path
            or name, such as 1b.
        devices: processes that share the training, all machines together.
        strategy: ddp, or fsdp2, which divides weights and optimizer states among the devices.
        precision: such as 32-true or bf16-mixed.
        batch_size: rows of each process.
        activation_checkpointing: recompute the activations of all layers (1), every second one (2), none (0).
        size: of the clips, such as 17x128x128, where they are not encoded yet.
    """
    from .info import describe

    assumed = {
        "devices": devices,
        "strategy": strategy,
        "precision": precision,
        "batch_size": batch_size,
        "activation_checkpointing": activation_checkpointing,
        "size": size,
    }
    print(describe(model, {name: value for name, value in assumed.items() if value is not None}))
