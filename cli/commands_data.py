"""The commands about clips: `videolm data …`, the embedded corpus as files, and encoding into shards."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from ..data.codes.trained_clips import SIZES, ClipSize, large_size
from ..data.runtime.model_source import model_folder
from ..data.sources.selection import ClipSelection
from ..tasks.training_data.shard_settings import ShardSettings
from .arguments import Options


def data_inspect(
    source: str,
    *,
    where: list[str] | None = None,
    json: bool = False,
    sheet: Path | None = None,
    quick: bool = False,
    num_workers: int = 2,
    seconds: float = 120.0,
) -> list[Path]:
    """What a source of clips holds: counts, lengths, sizes, sound, and why which files cannot be read.

    Every file is decoded to its end, by processes that are killed when a file makes them hang or crash. If
    none of them can be read the command fails.

    Args:
        source: a folder of media (with name.txt or name.json beside name.mp4, a captions.jsonl, or another
            project's list: Hugging Face, finetrainers, WebVid, Panda-70M, OpenVid, UCF-101, LLaVA); a list
            (.jsonl, .json, .csv, .tsv, .txt, .parquet); WebDataset tars (a-{000..099}.tar, or a folder of
            them); or hf:NAME@SPLIT, a data set of Hugging Face's hub or a folder of one
            (hf:NAME:CONFIG:REVISION@SPLIT; with hf-stream: read where it is and not copied first).
        where: key=value: only entries that have it; may be repeated.
        json: print a verdict on every file as JSON.
        sheet: file for a contact sheet (.png).
        quick: decode one frame of each file only, and believe its header.
        num_workers: processes that decode.
        seconds: after which a file is given up.
    """
    from ..data.curation.inspection import inspect_source, lines_of, to_json, write_sheet
    from ..data.media.targets import check_target
    from ..data.sources.selection import conditions

    if sheet is not None:
        check_target(sheet, (".png",))
    if seconds <= 0:
        raise ValueError(f"seconds is {seconds:g}; expected a positive number")
    chosen = conditions(where or [])
    found = inspect_source(source, chosen, quick=quick, num_workers=num_workers, seconds=seconds)
    findings = found.findings
    print(to_json(found) if json else "\n".join(lines_of(found)))
    if all(finding.info is None for finding in findings):
        raise ValueError(f"none of the {len(findings)} files can be read; the first: {findings[0].problem}")
    if sheet is None:
        return []
    write_sheet(findings, sheet)
    return [] if json else [sheet]


def data_filter(
    source: str,
    *,
    out: Path,
    where: list[str] | None = None,
    min_seconds: float = 0.0,
    min_motion: float = 0.0,
    min_sharpness: float = 0.0,
    duplicates: int = 0,
    cuts: bool = True,
    num_workers: int = 2,
    seconds: float = 120.0,
) -> list[Path]:
    """Cut clips into shots and leave out still, blurred and doubled ones: writes a list for other commands.

    The list has a line for each shot that stays, with its motion, sharpness and fingerprint, and what the
    source says of the file. Films of any length are cut at their own frame rate. Every file of which nothing
    stays is named, with the reason; if none stays there is no list, and the command fails.

    Args:
        source: a folder or list of files, as `videolm data inspect` takes it.
        out: list to write (.jsonl).
        where: key=value: only entries that have it; may be repeated.
        min_seconds: shots that are shorter go.
        min_motion: mean difference between frames, of 255 levels; 0.5 leaves out still pictures.
        min_sharpness: standard deviation of the Laplacian at 64x64; 5 leaves out what is out of focus.
        duplicates: shots whose fingerprint differs from an earlier one in fewer bits go; 4 finds copies, and
            takes clips of one and the same scene for copies, too.
        cuts: find cuts by the histograms of neighbouring frames; --cuts=false keeps files whole.
        num_workers: processes that decode.
        seconds: after which a file is given up that gives no more frames.
    """
    from ..data.curation.filtering import ShotCriteria, filter_source
    from ..data.media.targets import check_target
    from ..data.runtime.one_writer import only_writer
    from ..data.sources.selection import conditions

    check_target(out, (".jsonl",))
    wishes = ShotCriteria(min_seconds, min_motion, min_sharpness, duplicates, cuts)
    with only_writer(out.parent, out.name):
        done = filter_source(source, conditions(where or []), out, wishes, num_workers, seconds)
    print(", ".join(f"{count} {name}" for name, count in done.counts.items()))
    if done.left_out:
        print("\n  ".join([f"files of which nothing is kept: {len(done.left_out)}", *done.left_out]))
    return [out]


def data_caption(
    source: str,
    *,
    out: Path,
    where: list[str] | None = None,
    captioner: Path | None = None,
    endpoint: str | None = None,
    model_name: str | None = None,
    prompt: str | None = None,
    frames: int = 4,
    num_workers: int = 1,
    seconds: float = 120.0,
) -> list[Path]:
    """Have clips described at length: writes a list with the long captions beside the original ones.

    A line has the clip's own captions under "caption" and the new one under "long_caption"; `videolm encode`
    keeps both, and training shows the long one in 95 of 100 rows (data.long_captions). Run again, it goes on
    where it was stopped, and tries again what failed.

    Args:
        source: a folder or list of files, as `videolm data inspect` takes it.
        out: list to write (.jsonl).
        where: key=value: only entries that have it; may be repeated.
        captioner: folder of a model of transformers that describes pictures (BLIP, GIT, LLaVA …).
        endpoint: in its place, an OpenAI-compatible server, such as http://localhost:8000/v1; a key that it
            asks for is taken from the environment (VIDEOLM_API_KEY).
        model_name: which of the server's models.
        prompt: what to tell the captioner; of one that is no chat model, words that each caption begins with.
        frames: shown of each clip, spread evenly; of most models that are no chat models, the middle one.
        num_workers: processes that decode.
        seconds: after which a file is given up.
    """
    from ..data.curation.captioning import caption_source
    from ..data.curation.open_captioner import captioner_of
    from ..data.media.targets import check_target
    from ..data.runtime.one_writer import only_writer
    from ..data.sources.selection import conditions

    check_target(out, (".jsonl",))
    if (captioner is None) == (endpoint is None):
        raise ValueError("give the folder of a captioner (--captioner) or the address of one (--endpoint)")
    if frames < 1:
        raise ValueError(f"frames is {frames}; expected 1 or more")
    chosen = conditions(where or [])
    with only_writer(out.parent, out.name):
        written = caption_source(
            source,
            chosen,
            out,
            captioner_of(str(captioner or endpoint), model_name),
            prompt,
            num_frames=frames,
            num_workers=num_workers,
            seconds=seconds,
        )
    print(f"{written.captions} clips with long captions, {written.new} of them new")
    if written.failures:
        print("\n  ".join([f"without: {len(written.failures)}", *written.failures]))
    return [out]


def synthesize(
    *,
    out: Path,
    source: str = "synthetic",
    selection: Annotated[ClipSelection, Options(skip=("source", "where"), source="", clips=64, split="all")],
    sample_rate: int = 16000,
) -> list[Path]:
    """Write clips of the embedded corpus as mp4 files with a captions.jsonl.

    Args:
        out: folder to fill.
        source: synthetic, or synthetic-plain: one dark background, a still camera, less varied places; or
            synthetic-lasting: as that, but half of the clips spin or bounce, half of these already before.
        sample_rate: of the sound.
    """
    from ..data.runtime.one_writer import only_writer
    from .synthesize import write_corpus

    with only_writer(out):
        return write_corpus(out, replace(selection, source=source), sample_rate)


def embed(
    shards: str,
    *,
    text_encoder: str,
    out: Path,
    text_pieces: int | None = None,
    batch_size: int = 64,
    device: str = "auto",
) -> list[Path]:
    """Keep what a frozen T5 says of the captions of shards; goes on where it was stopped.

    `videolm lm fit` reads it with the options that are printed. A caption in another form (30 % of the rows
    without --data.caption_variation 0) is none of these: it is encoded when it is shown.

    Args:
        shards: folder of `videolm encode`.
        text_encoder: folder of a T5, or its name on Hugging Face's hub.
        out: folder for the embeddings.
        text_pieces: of a caption that are read; if not given, at least 64 and as many as 98 % of them have.
        batch_size: captions that are read together.
        device: of the encoder; auto is a GPU if there is one.
    """
    from ..data.runtime.one_writer import only_writer
    from ..tasks.training_data.embed_captions import embed_captions

    with only_writer(out):
        done = embed_captions(shards, text_encoder, out, text_pieces, batch_size, device)
    print(f"{done.texts:,} captions, {done.new:,} of them new; {done.budget}")
    options = f"--data.text_encoder {text_encoder} --data.text_cache {out}"
    print(f"train with {options} --data.text_pieces {done.budget.pieces} --data.caption_variation 0")
    return [out]


def encode(
    selection: Annotated[ClipSelection, Options(skip=("clips", *SIZES), split="train")],
    *,
    size: ClipSize,
    model: str,
    out: Path,
    clips: int = 4096,
    settings: ShardSettings,
    num_workers: int = 1,
    engine: str = "local",
    device: str = "auto",
    tasks: str = "",
    pad: list[str] | None = None,
    depth: str | None = None,
    super_resolution: int | None = None,
    large_model: str | None = None,
    actions: str = "auto",
) -> list[Path]:
    """Turn clips into codes on disk, to train the language model on; goes on where it was stopped.

    Args:
        model: model folder (or name, as for `videolm generate`) with a video_tokenizer and, for sound, an
            audio_tokenizer.
        out: folder for the codes.
        clips: how many, of the embedded corpus; of files all are taken.
        num_workers: processes that read files, where one that hangs is given up; 0 reads in this process,
            unprotected. With ray: tokenizers side by side.
        engine: local, or ray (Ray Data, on one machine or many); both write the same shards.
        device: of the tokenizers; auto is a GPU if there is one.
        tasks: names, or files of your own, separated by commas, or "all": those that are led by altered
            clips (inpainting, outpainting, stylization) have these coded as well.
        pad: task=black, grey, white or edge: what stands for unknown pixels; may be repeated.
        depth: for stylization with clips of your own: folder of a depth model of transformers, or "none".
        super_resolution: 2 codes beside each clip one of half its height and width (bicubic), to train
            `videolm super-resolution` on; --height and --width are those of the large clips, twice what the
            tokenizer was trained on if not given.
        large_model: of super-resolution: model folder whose video_tokenizer codes the large clips, where it
            is another one; that of --model codes the small ones.
        actions: of clips with actions, the file that says what they mean, for a world model; auto is
            actions.json beside the list of clips, if it is there; none leaves the actions out. Such clips are
            coded whole, however long, at as many frames as actions per second, and --num-frames is the window
            that is trained on.
    """
    from functools import partial

    from ..data.analysis.open_geometry import geometry_of
    from ..data.loading.episode_source import action_space_of
    from ..data.runtime.one_writer import only_writer
    from ..tasks.task import tasks_named
    from ..tasks.training_data.clip_encoder import ClipEncoder
    from ..tasks.training_data.encode_shards import encode_ranges, ranges_of, summary
    from ..tasks.training_data.ray_engine import encode_with_ray

    if engine not in ("local", "ray"):
        raise ValueError(f"engine is {engine!r}; expected local or ray")
    space = action_space_of(selection.source, actions)
    if space is not None:
        size = _size_of_episodes(size, space.rate)
        if settings.buckets is not None or super_resolution is not None or tasks:
            raise ValueError(
                "clips with actions are coded in one size, without --buckets, --tasks and "
                "--super-resolution; --actions none leaves their actions out"
            )
    folder = model_folder(model)
    large = None if large_model is None else model_folder(large_model) / "video_tokenizer"
    if super_resolution is None:
        if large is not None:
            raise ValueError("--large-model codes the large clips of --super-resolution; give that too")
        chosen = size.of(folder / "video_tokenizer")
    else:
        if settings.buckets is not None:
            raise ValueError("a stage of super-resolution makes one size; leave out --buckets")
        chosen = large_size(size, folder / "video_tokenizer", super_resolution, large)
    selection = replace(selection, clips=clips, **chosen.size)
    load = partial(
        ClipEncoder.from_pretrained,
        folder,
        fps=chosen.fps,
        tasks=tasks_named(tasks, pad or []),
        geometry=geometry_of(depth),
        super_resolution=super_resolution,
        large=large,
        actions=space,
    )
    make = partial(ranges_of, load, selection, out, settings, device, num_workers)
    with only_writer(out):  # those who encode for Ray are part of this run
        encoded = (
            encode_with_ray(make, num_workers) if engine == "ray" else encode_ranges(make(), num_workers)
        )
    print("\n".join(summary(encoded)))
    return [out]


def _size_of_episodes(size: ClipSize, rate: float) -> ClipSize:
    """The size of clips with so many actions per second: they have as many frames.

    Raises:
        ValueError: if another number of frames is asked for.
    """
    if size.fps is not None and size.fps != rate:
        raise ValueError(f"fps is {size.fps:g}; the clips have {rate:g} actions, and so frames, per second")
    return replace(size, fps=rate)
