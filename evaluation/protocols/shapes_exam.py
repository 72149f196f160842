"""A model is asked about clips of the embedded corpus: what all protocols of that corpus have in common.

Prompts are captions and clips from two held-out splits: "triples" (colour, shape and motion never seen
together, though every pair was) and "pairs" (colour and shape never seen together). Beside what the model
makes of them stand the same clips after a trip through the tokenizers: no model of their codes can be
expected to do better.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ...data.media.clip import Clip
from ...data.media.psnr import psnr
from ...data.runtime.progress import progress
from ...data.synthetic.corpus import Corpus, corpus_scenes
from ...data.synthetic.scene import Scene
from ...generation.pipeline import Codes, VideoLM
from ...generation.prompt import Prompt
from ...lm.decoding.sampling import Sampling
from ...tasks.conditions import Painting
from ...tokenizers.video.lfq import code_statistics
from ..metrics.reconstruction import ssim
from ..metrics.shapes import LABELS, describe_all, word_scores

SPLITS = ("triples", "pairs")
NUM_EXAMPLES = 3  # of each task, that are shown
_POPULATION = 1024
_BATCH = 32


@dataclass(frozen=True)
class HeldOut:
    """Real clips of one held-out split, what they show, and their reconstructions."""

    split: str
    clips: list[Clip]
    scenes: list[Scene]
    codes: list[Codes]
    reconstructions: list[Clip]

    def first(self, count: int) -> "HeldOut":
        """So many of them."""
        parts = (self.clips, self.scenes, self.codes, self.reconstructions)
        return HeldOut(self.split, *(part[:count] for part in parts))


@dataclass(frozen=True)
class Result:
    """What a protocol found, and for each task a clip beside its real and its reconstructed one.

    Args:
        led_by: the first of the altered clips, such as masked ones, that lead some of the tasks.
    """

    report: dict[str, Any]
    held_out: dict[str, HeldOut]
    generated: dict[str, list[Clip]]
    led_by: dict[str, list[Clip]] = field(default_factory=dict)


@dataclass(frozen=True)
class Examination:
    """What a protocol asks and how it judges.

    Args:
        tasks: that it knows; what a model was not trained on is left out.
        ask: the prompts of a task, one for each real clip.
        judge: the scores of a task's clips, made from those prompts in their order. The scenes are of the
            training set, for the level of chance.
    """

    tasks: tuple[str, ...]
    ask: Callable[[VideoLM, str, HeldOut], list[Prompt]]
    judge: Callable[[VideoLM, str, Sequence[Clip], HeldOut, Sequence[Scene]], dict[str, Any]]


def examine(
    model: VideoLM,
    source: str,
    clips: int,
    seed: int,
    sampling: Sampling,
    examination: Examination,
    tasks: Sequence[str] = (),
    best_of: int = 1,
) -> Result:
    """Score the tasks of the model that the examination knows.

    Args:
        source: name of the embedded corpus that prompts are drawn from.
        clips: per task and split; without a prompt the splits do not differ, and one is enough.
        tasks: only these.
        best_of: paintings of each prompt, of which the one is scored that comes nearest to the known pixels
            (`VideoLM.paint_best`); other tasks make one clip.

    Raises:
        ValueError: if there are no clips, or a task is not known to both the examination and the model.
    """
    if clips < 1:
        raise ValueError(f"clips is {clips}; expected at least 1")
    known = [task for task in examination.tasks if task in model.config.tasks]
    if unknown := [task for task in tasks if task not in known]:
        raise ValueError(f"{unknown[0]!r} cannot be scored; this model and protocol know {', '.join(known)}")
    known = [task for task in known if not tasks or task in tasks]
    total = len(SPLITS) * clips * (1 + len(known)) - (clips if "unconditional" in known else 0)
    population = corpus_of(model, source, "train", seed)
    training = [population.scene(index) for index in range(_POPULATION)]
    report: dict[str, Any] = {}
    held_out: dict[str, HeldOut] = {}
    generated: dict[str, list[Clip]] = {}
    with progress("evaluate", total) as tell:
        done = 0
        for split in SPLITS:
            held_out[split] = real = _held_out(model, source, split, clips, seed)
            done += clips
            tell(done)
            scores: dict[str, Any] = {}
            for task in known:
                if task == "unconditional" and split != SPLITS[0]:
                    continue
                prompts = examination.ask(model, task, real)
                first = seed + 1_000_003 * SPLITS.index(split)
                made = _generate(
                    model, task, prompts, first, sampling, lambda part, at=done: tell(at + part), best_of
                )
                done += clips
                scores[task] = examination.judge(model, task, made, real, training)
                if split == SPLITS[0]:
                    generated[task] = made
            report[split] = {"ceiling": _ceiling(real, training), "tasks": scores}
    triples, pairs = (report[split] for split in SPLITS)
    return Result(
        {
            "tokenizer": _video_quality(model, held_out["triples"]) | {"ceiling": triples["ceiling"]},
            "audio": _audio_quality(model, held_out["triples"]),
            "tasks": triples["tasks"],
            "unseen_pairs": pairs,
        },
        held_out,
        generated,
    )


def _generate(
    model: VideoLM,
    task: str,
    prompts: list[Prompt],
    seed: int,
    sampling: Sampling,
    tell: Callable[[float], None],
    best_of: int,
) -> list[Clip]:
    """What the model alone makes: known pixels are not put back."""
    if prompts[0].text is None:
        sampling = replace(sampling, guidance_scale=1.0)
    if best_of > 1 and isinstance(model.config.task(task).conditions, Painting):
        return model.paint_best(
            task,
            prompts,
            best_of,
            seed=[seed + best_of * number for number in range(len(prompts))],
            sampling=sampling,
            batch_size=_BATCH,
            progress=lambda done: tell(done / best_of),
            composite=False,
        )
    return model.generate_batch(
        task, prompts, seed=seed, sampling=sampling, batch_size=_BATCH, progress=tell, composite=False
    )


def _held_out(model: VideoLM, source: str, split: str, clips: int, seed: int) -> HeldOut:
    corpus = corpus_of(model, source, split, seed)
    real = [corpus[index] for index in range(clips)]
    codes = [model.encode(clip) for clip in real]
    again = [
        clip
        for start in range(0, clips, _BATCH)
        for clip in model.decode_batch(codes[start : start + _BATCH])
    ]
    return HeldOut(split, real, [corpus.scene(index) for index in range(clips)], codes, again)


def corpus_of(model: VideoLM, source: str, split: str, seed: int) -> Corpus:
    """The embedded corpus in the size of the model's clips, with sound if the model has any."""
    clips = model.clips
    return Corpus(
        height=clips.height,
        width=clips.width,
        num_frames=clips.num_frames,
        fps=clips.fps,
        sample_rate=clips.sample_rate if clips.has_audio else None,
        scenes=corpus_scenes(source),
        split=split,
        seed=seed,
    )


def _ceiling(real: HeldOut, training: Sequence[Scene]) -> dict[str, Any]:
    readings = describe_all(real.reconstructions)
    has_sound = real.reconstructions[0].waveform is not None
    labels = [label for label in LABELS if label != "pitch" or has_sound]
    return word_scores(labels, real.scenes, readings, training)


def _video_quality(model: VideoLM, real: HeldOut) -> dict[str, float]:
    pairs = list(zip(real.clips, real.reconstructions, strict=True))
    codes = torch.stack([codes["visual"] for codes in real.codes]).flatten()
    counts = codes.bincount(minlength=model.video_tokenizer.codebook_size)
    return {
        "psnr_db": float(torch.cat([psnr(clip.frames, again.frames) for clip, again in pairs]).mean()),
        "ssim": float(torch.cat([ssim(clip.frames, again.frames) for clip, again in pairs]).mean()),
    } | code_statistics(counts)


def _audio_quality(model: VideoLM, real: HeldOut) -> dict[str, Any]:
    if model.audio_tokenizer is None:
        return {}
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

    from ...tokenizers.audio.losses import log_spectral_distance

    sounds = torch.stack([clip.waveform for clip in real.clips if clip.waveform is not None])
    again = torch.stack([clip.waveform for clip in real.reconstructions if clip.waveform is not None])
    codes = torch.stack([codes["audio"] for codes in real.codes])
    sizes = model.clips.codebook_sizes
    return {
        "si_sdr_db": float(scale_invariant_signal_distortion_ratio(again, sounds).mean()),
        "log_spectral_distance_db": float(log_spectral_distance(again, sounds).mean()),
        "code_use": [
            float((codes[:, level].flatten().bincount(minlength=size) > 0).double().mean())
            for level, size in enumerate(sizes)
        ],
    }
