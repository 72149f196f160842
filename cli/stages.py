"""The stages of training in their order, and what LightningCLI needs to know of each.

The classes of a stage are imported when it is trained, and not before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.callbacks import Callback

from ..training.strategies import is_fsdp2
from .init_from import language_model_from, stage_from

Scores = Mapping[str, float]


@dataclass(frozen=True)
class Stage:
    """One thing that is trained: what LightningCLI needs to know of it.

    Args:
        name: folder of its configs and of its part of RUN/training.
        part: what its export writes in RUN/model; the module may name a folder in it (`part`).
        classes: gives the LightningModule and the LightningDataModule.
        links: settings that follow from others, as (from, to), known once the source is built.
        same: settings that are the same as others, as (from, to).
        computed: settings that follow from others by a function, as (from, to, function).
        reads_model: its data need the tokenizers of a model folder, RUN/model if not given.
        keeps_text: its data make the text tokenizer and the vocabulary of the model, which the run keeps.
        starts: spells `--init-from` out among the arguments of a fit, of a stage that has it.
        report: prints and writes more than the logged scores after a validation, into a folder.
        callbacks: of a fit, beside those of every stage.
        found: lines on what a fit has reached, from the module, the data, the scores of the validation whose
            model is exported, and the means of the training's metrics before it.
    """

    name: str
    part: str
    classes: Callable[[], tuple[type[LightningModule], type[LightningDataModule]]]
    links: tuple[tuple[str, str], ...] = ()
    same: tuple[tuple[str, str], ...] = ()
    computed: tuple[tuple[str, str, Callable[[Any], Any]], ...] = ()
    reads_model: bool = False
    keeps_text: bool = False
    starts: Callable[[list[str]], list[str]] | None = None
    report: Callable[[LightningModule, LightningDataModule, Path], list[Path]] | None = None
    callbacks: Callable[[], list[Callback]] = list
    found: Callable[[Any, Any, Scores, Scores], list[str]] | None = None


def _tokenizer() -> tuple[type[LightningModule], type[LightningDataModule]]:
    from ..tasks.training_data.tokenizer_datamodule import TokenizerDataModule
    from ..tokenizers.video.lightning_module import VideoTokenizerTraining

    return VideoTokenizerTraining, TokenizerDataModule


def _tokenizer_scores(module: Any, datamodule: Any, folder: Path) -> list[Path]:
    """The table of `videolm tokenizer score` for the validation clips of a training."""
    from ..evaluation.tokenizer_scores import score_tokenizer, table, write_scores

    clips = (frames for batch in datamodule.val_dataloader() for frames in batch["frames"])
    scores = score_tokenizer(module.averaged.eval(), clips)
    print(table(scores))
    return write_scores(folder, scores)


def _tokenizer_found(module: Any, datamodule: Any, scores: Scores, train: Scores) -> list[str]:
    """How a video tokenizer compares with still pictures, and how its codebook is used."""
    from ..evaluation.tokenizer_scores import still_psnr
    from ..training.findings import code_lines, still_lines

    tokenizer = module.averaged
    clips = (frames for batch in datamodule.val_dataloader() for frames in batch["frames"])
    frames = [value for name, value in sorted(scores.items()) if name.startswith("val/psnr_frame_")][1:]
    psnr = sum(frames) / len(frames) if frames else float("nan")
    bits = (tokenizer.codebook_size - 1).bit_length()
    return still_lines(psnr, still_psnr(clips, tokenizer.temporal_stride)) + code_lines(scores, train, bits)


def _audio() -> tuple[type[LightningModule], type[LightningDataModule]]:
    from ..tasks.training_data.audio_datamodule import AudioDataModule
    from ..tokenizers.audio.lightning_module import AudioCodecTraining

    return AudioCodecTraining, AudioDataModule


def _audio_scores(module: Any, datamodule: Any, folder: Path) -> list[Path]:
    """The table of `videolm audio score` for the validation clips of a training."""
    from ..evaluation.audio_report import table, write_scores
    from ..evaluation.audio_scores import code_sounds, scores_of

    codec = module.codec.eval()
    sounds = [sound for batch in datamodule.val_dataloader() for sound in batch["waveform"]]
    coded = code_sounds(codec, sounds)
    scores = scores_of(codec, coded)
    print(table(scores))
    return write_scores(folder, scores, coded)


def _lm() -> tuple[type[LightningModule], type[LightningDataModule]]:
    from ..lm.training.lightning_module import LanguageModelTraining
    from ..tasks.training_data.lm_datamodule import LMDataModule

    return LanguageModelTraining, LMDataModule


def _super_resolution() -> tuple[type[LightningModule], type[LightningDataModule]]:
    from ..super_resolution.training.lightning_module import SuperResolutionTraining
    from ..tasks.training_data.super_resolution_datamodule import SuperResolutionDataModule

    return SuperResolutionTraining, SuperResolutionDataModule


def _lm_callbacks() -> list[Callback]:
    from ..tasks.training_data.caption_gain import CaptionGain
    from ..tasks.training_data.round_trip import RoundTrip

    return [RoundTrip(), CaptionGain()]


_LM_LINKS = (("data.vocabulary", "model.vocabulary"), ("data.text_width", "model.text_width"))
_LM_SAME = (("model.init_from", "data.init_from"),)
_LM_COMPUTED = (("trainer.strategy", "model.sharded", is_fsdp2),)

STAGES = {
    stage.name: stage
    for stage in (
        Stage("tokenizer", "video_tokenizer", _tokenizer, report=_tokenizer_scores, found=_tokenizer_found),
        Stage("audio", "audio_tokenizer", _audio, report=_audio_scores),
        Stage(
            "lm", "lm", _lm, links=_LM_LINKS, same=_LM_SAME, computed=_LM_COMPUTED, reads_model=True,
            keeps_text=True, starts=language_model_from, callbacks=_lm_callbacks,
        ),
        Stage(
            "super-resolution", "super_resolution", _super_resolution, links=(("data.stage", "model.stage"),),
            reads_model=True, starts=stage_from,
        ),
    )
}
