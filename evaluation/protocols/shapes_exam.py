"""What the protocols of the embedded corpus have in common: held-out prompts, generation, and the report.

Prompts are captions and clips of two held-out splits: "triples" (colour, shape and motion never seen
together, though every pair was) and "pairs" (colour and shape never seen together). The same clips,
reconstructed by the tokenizers, give the ceiling: a language model over their codes can hardly score higher.
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
from ...generation.best_of import paint_best
from ...generation.pipeline import Codes, VideoLM
from ...generation.prompt import Prompt
from ...lm.decoding.sampling import Sampling
from ...tasks.conditions import Painting
from ...tokenizers.audio.losses import log_spectral_distance
from ...tokenizers.video.lfq import code_statistics
from ..metrics.reconstruction import ssim
from ..metrics.shapes import LABELS, describe_all, word_scores
from ..metrics.sound_quality import si_sdr
from .guidance import decided, sampling_for

SPLITS = ("triples", "pairs")
NUM_EXAMPLES = 3  # of each task, that are shown
POPULATION = 1024  # scenes of the training set, for the level of chance
BATCH = 32


@dataclass(frozen=True)
class HeldOut:
    """Real clips of one held-out split, what they show, and their reconstructions."""

    split: str
    clips: list[Clip]
    scenes: list[Scene]
    codes: list[Codes]
    reconstructions: list[Clip]

    def first(self, count: int) -> "HeldOut":
        """The first `count` of them."""
        return self.part(0, count)

    def part(self, start: int, count: int) -> "HeldOut":
        """`count` of them from number `start` on."""
        those = slice(start, start + count)
        return HeldOut(
            self.split,
            self.clips[those],
            self.scenes[those],
            self.codes[those],
            self.reconstructions[those],
        )


@dataclass(frozen=True)
class ExamSettings:
    """What a model is examined on, and how it samples.

    Args:
        source: name of the embedded corpus that prompts are drawn from.
        clips: per task and split; without a prompt the splits do not differ, and one is enough.
        seed: of the corpus and of the sampling.
        sampling: how codes are drawn; what it leaves open is as the model recommends for each task. Without
            a text there is no guidance.
        tasks: only these; all that the protocol and the model know if none are given.
    """

    source: str = "synthetic"
    clips: int = 128
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    tasks: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips is {self.clips}; expected at least 1")


@dataclass(frozen=True)
class Result:
    """The report of a protocol, and its clips: real, reconstructed and generated ones of each task.

    Args:
        led_by: of some tasks, the first of the altered clips, such as masked ones, that they start from.
    """

    report: dict[str, Any]
    held_out: dict[str, HeldOut]
    generated: dict[str, list[Clip]]
    led_by: dict[str, list[Clip]] = field(default_factory=dict)


@dataclass(frozen=True)
class Exam:
    """How a protocol makes prompts and scores clips.

    Args:
        tasks: that it knows; tasks that a model was not trained on are left out.
        ask: the prompts of a task, one for each real clip.
        judge: the scores of a task's clips, generated from these prompts, in their order. The scenes are of
            the training set, for the level of chance.
    """

    tasks: tuple[str, ...]
    ask: Callable[[VideoLM, str, HeldOut], list[Prompt]]
    judge: Callable[[VideoLM, str, Sequence[Clip], HeldOut, Sequence[Scene]], dict[str, Any]]


def run_exam(model: VideoLM, exam: Exam, settings: ExamSettings, best_of: int = 1) -> Result:
    """Score the tasks of the model that the exam knows.

    Args:
        best_of: paintings of each prompt, of which the one is scored that comes nearest to the known pixels
            (`paint_best`); other tasks make one clip.

    Raises:
        ValueError: if a task is not known to both the exam and the model.
    """
    known = known_tasks(model, exam, settings.tasks)
    clips, seed = settings.clips, settings.seed
    total = len(SPLITS) * clips * (1 + len(known)) - (clips if "unconditional" in known else 0)
    population = corpus_of(model, settings.source, "train", seed)
    training = [population.scene(index) for index in range(POPULATION)]
    report: dict[str, Any] = {}
    sampled: dict[str, Any] = {}
    recommended: dict[str, list[str]] = {}
    held_out: dict[str, HeldOut] = {}
    generated: dict[str, list[Clip]] = {}
    with progress("evaluate", total) as tell:
        done = 0
        for split in SPLITS:
            held_out[split] = real = real_clips(model, settings, split)
            done += clips
            tell(done)
            scores: dict[str, Any] = {}
            for task in known:
                if task == "unconditional" and split != SPLITS[0]:
                    continue
                prompts = exam.ask(model, task, real)
                has_text = prompts[0].text is not None
                sampled[task] = decided(model, task, settings.sampling, text=has_text)
                recommended[task] = model.recommended.used(task, settings.sampling, text=has_text)
                made = generate_for(
                    model,
                    task,
                    prompts,
                    replace(settings, seed=seed + 1_000_003 * SPLITS.index(split)),
                    lambda part, at=done: tell(at + part),
                    best_of,
                )
                done += clips
                scores[task] = exam.judge(model, task, made, real, training)
                if split == SPLITS[0]:
                    generated[task] = made
            report[split] = {"ceiling": _ceiling(real, training), "tasks": scores}
    triples, pairs = (report[split] for split in SPLITS)
    return Result(
        {
            "sampling": sampled,
            "as_recommended": recommended,
            "tokenizer": _video_quality(model, held_out["triples"]) | {"ceiling": triples["ceiling"]},
            "audio": _audio_quality(model, held_out["triples"]),
            "tasks": triples["tasks"],
            "unseen_pairs": pairs,
        },
        held_out,
        generated,
    )


def known_tasks(model: VideoLM, exam: Exam, wanted: Sequence[str]) -> list[str]:
    """The tasks to score: those that the exam and the model know, of these the wanted ones."""
    known = [task for task in exam.tasks if task in model.config.tasks]
    if unknown := [task for task in wanted if task not in known]:
        raise ValueError(f"{unknown[0]!r} cannot be scored; this model and protocol know {', '.join(known)}")
    return [task for task in known if not wanted or task in wanted]


def generate_for(
    model: VideoLM,
    task: str,
    prompts: list[Prompt],
    settings: ExamSettings,
    tell: Callable[[float], None],
    best_of: int = 1,
) -> list[Clip]:
    """Clips as the model generates them: known pixels are not put back."""
    seed, sampling = settings.seed, sampling_for(prompts, settings.sampling)
    if best_of > 1 and isinstance(model.config.task(task).conditions, Painting):
        return paint_best(
            model,
            task,
            prompts,
            best_of,
            seed=[seed + best_of * number for number in range(len(prompts))],
            sampling=sampling,
            batch_size=BATCH,
            progress=lambda done: tell(done / best_of),
            composite=False,
        )
    return model.generate_batch(
        task, prompts, seed=seed, sampling=sampling, batch_size=BATCH, progress=tell, composite=False
    )


def real_clips(model: VideoLM, settings: ExamSettings, split: str) -> HeldOut:
    """Clips of a split of the corpus, with what becomes of them in the tokenizers."""
    corpus, numbers = corpus_of(model, settings.source, split, settings.seed), range(settings.clips)
    real = [corpus[number] for number in numbers]
    codes = [model.encode(clip) for clip in real]
    again = [
        clip
        for start in range(0, len(codes), BATCH)
        for clip in model.decode_batch(codes[start : start + BATCH])
    ]
    return HeldOut(split, real, [corpus.scene(number) for number in numbers], codes, again)


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
    sounds = torch.stack([clip.waveform for clip in real.clips if clip.waveform is not None])
    again = torch.stack([clip.waveform for clip in real.reconstructions if clip.waveform is not None])
    codes = torch.stack([codes["audio"] for codes in real.codes])
    sizes = model.clips.codebook_sizes
    return {
        "si_sdr_db": float(si_sdr(again, sounds).mean()),
        "log_spectral_distance_db": float(log_spectral_distance(again, sounds).mean()),
        "code_use": [
            float((codes[:, level].flatten().bincount(minlength=size) > 0).double().mean())
            for level, size in enumerate(sizes)
        ],
    }
