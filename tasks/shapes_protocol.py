"""The protocol "shapes": can the model do what its prompts say, on combinations that training never showed?

Prompts are captions and clips of the embedded corpus, from two held-out splits: "triples" (colour, shape
and motion never seen together, though every pair was) and "pairs" (colour and shape never seen together).
What a generated clip shows is read by `data.describing.describe`, which looks at pixels and sound only.
An abstention counts as wrong, everywhere. What counts, by task:

    text_to_video     all of the clip.
    image_to_video    the prompt is the first frame and the caption. Motion is read from the whole clip,
                      colour and shape from the generated frames only: the given one would answer for them.
    frame_prediction  the prompt is the first half of the clip, without text. Colour and shape are read from
                      the generated frames only. Motion is read from the last given frame on, and so it is
                      on the real clip: that reading is the right answer, because a motion may look
                      different from there (a ball that has bounced goes up). Where the real window cannot
                      be read no answer is right or wrong; such clips are left out of n and counted as
                      `unjudged`.
    video_to_audio    the prompt is the silent clip; the pitch of the sound is read.
    unconditional     no prompt: the share of clips in which colour, shape and motion can all be read, and how
                      varied the readings are (entropy / largest entropy).

Camera is scored on prompts with a moving one, which are the only captions that mention it. The ceiling is
what is read from the same held-out clips after a trip through the tokenizers: no model of their codes can
be expected to do better.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from typing import Any

import torch

from ..data.clip import Clip
from ..data.describing import Description, describe
from ..data.scene import Scene
from ..data.synthetic import Corpus, corpus_settings
from ..data.timing import video_frames
from ..lm.sampling import Sampling
from ..tokenizers.lfq import code_statistics
from .metrics.reconstruction import psnr, ssim
from .metrics.shapes import LABELS, score, variety, words_of
from .pipeline import Codes, VideoLM
from .progress import progress
from .prompt import Prompt

SPLITS = ("triples", "pairs")
_POPULATION = 1024
_BATCH = 32
_FEW = 64  # clips that are read sooner than other processes have started


@dataclass(frozen=True)
class HeldOut:
    """Real clips of one held-out split, what they show, and their reconstructions."""

    split: str
    clips: list[Clip]
    scenes: list[Scene]
    codes: list[Codes]
    reconstructions: list[Clip]


@dataclass(frozen=True)
class Result:
    """What the protocol found, and for each task a clip beside its real and its reconstructed one."""

    report: dict[str, Any]
    held_out: dict[str, HeldOut]
    generated: dict[str, list[Clip]]


@dataclass(frozen=True)
class Probe:
    """How one task is asked and judged.

    Args:
        prompt: from a real clip and the number of its frames that are given.
        labels: what is read from the result.
    """

    prompt: Callable[[Clip, int], Prompt]
    labels: tuple[str, ...]


_SEEN = ("colour", "shape", "motion")
PROBES = {
    "text_to_video": Probe(lambda clip, given: Prompt(text=clip.caption), (*_SEEN, "camera")),
    "image_to_video": Probe(
        lambda clip, given: Prompt(text=clip.caption, image=clip.window(0, 1)), (*_SEEN, "camera")
    ),
    "frame_prediction": Probe(lambda clip, given: Prompt(video=clip.window(0, given)), _SEEN),
    "video_to_audio": Probe(lambda clip, given: Prompt(video=replace(clip, **_SILENT)), ("pitch",)),
    "unconditional": Probe(lambda clip, given: Prompt(), _SEEN),
}
_SILENT = {"waveform": None, "sample_rate": None}


def run_shapes(model: VideoLM, source: str, clips: int, seed: int, sampling: Sampling) -> Result:
    """Score every task of the model that the protocol knows.

    Args:
        source: name of the embedded corpus that prompts are drawn from.
        clips: per task and split.
    """
    if clips < 1:
        raise ValueError(f"clips is {clips}; expected at least 1")
    known = [task for task in PROBES if task in model.config.tasks]
    total = len(SPLITS) * clips * (1 + len(known)) - (clips if "unconditional" in known else 0)
    population = _corpus(model, source, "train", seed)
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
                made = _generate(model, task, real, seed, sampling, lambda part, at=done: tell(at + part))
                done += clips
                scores[task] = judge(task, made, real, training, _num_given(model, task))
                if split == SPLITS[0]:
                    generated[task] = made
            ceiling = _ceiling(real, training)
            report[split] = {"ceiling": ceiling, "tasks": scores}
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


def judge(
    task: str, made: Sequence[Clip], real: HeldOut, training: Sequence[Scene], given: int
) -> dict[str, Any]:
    """The scores of a task's clips, made from the prompts of the real ones in the same order.

    Args:
        training: scenes of the training set, for the chance level.
        given: frames of each clip that were given.
    """
    if task == "unconditional":
        return _unprompted(made)
    labels = PROBES[task].labels
    if labels == ("pitch",):
        heard = [replace(clip, frames=clip.frames[:1]) for clip in made]
        return _all_scored(labels, real.scenes, _read(heard), training)
    new = _read([clip.window(given, clip.num_frames - given) for clip in made])
    if task == "frame_prediction":
        scores = _all_scored(("colour", "shape"), real.scenes, new, training)
        return scores | {"motion": _continued_motion(made, real, training, given)}
    whole = _read(made) if given else new
    scores = _all_scored(
        [label for label in labels if label in ("colour", "shape")], real.scenes, new, training
    )
    rest = [label for label in labels if label not in scores]
    return scores | _all_scored(rest, real.scenes, whole, training)


def _read(clips: Sequence[Clip]) -> list[Description]:
    """`describe` of each clip, by as many processes as there are processors."""
    if len(clips) < _FEW:
        return [describe(clip) for clip in clips]
    return list(_readers().map(describe, clips, chunksize=8))


@cache
def _readers() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), torch.set_num_threads, (1,))


def _all_scored(
    labels: Sequence[str],
    scenes: Sequence[Scene],
    readings: Sequence[Description],
    training: Sequence[Scene],
) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    for label in labels:
        scores |= _scored(label, scenes, readings, training)
    return scores


def _scored(
    label: str, scenes: Sequence[Scene], readings: Sequence[Description], training: Sequence[Scene]
) -> dict[str, Any]:
    """{label: score}, or {} if there is nothing to score."""
    found = [getattr(reading, label) for reading in readings]
    wanted, population = words_of(scenes, label), words_of(training, label)
    if label == "camera":
        moving = [index for index, word in enumerate(wanted) if word != "still"]
        wanted, found = [wanted[index] for index in moving], [found[index] for index in moving]
    return {label: score(wanted, found, population)} if wanted else {}


def _continued_motion(
    made: Sequence[Clip], real: HeldOut, training: Sequence[Scene], given: int
) -> dict[str, Any]:
    def from_last_given(clips: Sequence[Clip]) -> list[str | None]:
        readings = _read([clip.window(given - 1, clip.num_frames - given + 1) for clip in clips])
        return [reading.motion for reading in readings]

    wanted, found = from_last_given(real.clips), from_last_given(made)
    judged = [index for index, word in enumerate(wanted) if word is not None]
    unjudged = {"unjudged": len(wanted) - len(judged)}
    if not judged:
        return {"score": 0.0, "chance": 0.0, "n": 0} | unjudged
    words = [wanted[index] or "" for index in judged]
    return score(words, [found[index] for index in judged], words_of(training, "motion")) | unjudged


def _unprompted(made: Sequence[Clip]) -> dict[str, Any]:
    readings = _read(made)
    readable = [all(getattr(reading, label) for label in _SEEN) for reading in readings]
    share = {"score": sum(readable) / len(readable), "chance": 0.0, "n": len(readable)}
    varied = {label: variety([getattr(reading, label) for reading in readings], label) for label in _SEEN}
    return {"readable": share, "variety": varied}


def _ceiling(real: HeldOut, training: Sequence[Scene]) -> dict[str, Any]:
    readings = _read(real.reconstructions)
    has_sound = real.reconstructions[0].waveform is not None
    labels = [label for label in LABELS if label != "pitch" or has_sound]
    return _all_scored(labels, real.scenes, readings, training)


def _generate(
    model: VideoLM,
    task: str,
    real: HeldOut,
    seed: int,
    sampling: Sampling,
    tell: Callable[[float], None],
) -> list[Clip]:
    probe, given = PROBES[task], _num_given(model, task)
    prompts = [probe.prompt(clip, given) for clip in real.clips]
    if prompts[0].text is None:
        sampling = replace(sampling, guidance_scale=1.0)
    first = seed + 1_000_003 * SPLITS.index(real.split)
    return model.generate_batch(
        task, prompts, seed=first, sampling=sampling, batch_size=_BATCH, progress=tell
    )


def _num_given(model: VideoLM, task: str) -> int:
    """Frames of a real clip that stand in the prompt and come back in the result."""
    if task == "image_to_video":
        return 1
    if task == "frame_prediction":
        return video_frames((model.clips.grid[0] + 1) // 2, model.clips.temporal_stride)
    return 0


def _held_out(model: VideoLM, source: str, split: str, clips: int, seed: int) -> HeldOut:
    corpus = _corpus(model, source, split, seed)
    real = [corpus[index] for index in range(clips)]
    codes = [model.encode(clip) for clip in real]
    again = [
        clip
        for start in range(0, clips, _BATCH)
        for clip in model.decode_batch(codes[start : start + _BATCH])
    ]
    return HeldOut(split, real, [corpus.scene(index) for index in range(clips)], codes, again)


def _corpus(model: VideoLM, source: str, split: str, seed: int) -> Corpus:
    clips = model.clips
    return Corpus(
        height=clips.height,
        width=clips.width,
        num_frames=clips.num_frames,
        fps=clips.fps,
        sample_rate=clips.sample_rate if clips.has_audio else None,
        split=split,
        seed=seed,
        **corpus_settings(source),
    )


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

    from ..tokenizers.audio_losses import log_spectral_distance

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
