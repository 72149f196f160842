"""What a stage of super-resolution is trained on; run by `videolm super-resolution fit --config ...`.

data:
  model: runs/mine/model      tokenizers that are trained already, with the text tokenizer of the stage
  shards: runs/mine/pairs     codes of `videolm encode --super-resolution 2`; or `source:` to tokenise clips,
                              and smaller ones of them, on the fly
"""

from pathlib import Path

import numpy as np
from lightning import LightningDataModule
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from ...data.codes.bucketed_shards import read_shards
from ...data.codes.clip_format import ClipFormat
from ...data.codes.trained_clips import ClipSize, large_size
from ...data.loading.clip_datamodule import Draws
from ...data.loading.training_amount import TrainingAmount
from ...data.runtime.model_source import is_local, model_folder
from ...data.sources.held_out import VALIDATION_SHARE
from ...data.sources.selection import ClipSelection
from ...super_resolution.stage_clips import PART, StageClips
from ...tokenizers.text.frozen_encoder import TextEncoder, load_text_tokenizer
from ...tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from ...training.strategies import data_rank
from ..text_budget import TextBudget
from .clip_encoder import ClipEncoder
from .clip_pools import divided, spread, texts
from .coded_clips import SizedClips, clips_of_source, clips_to_validate
from .low_codes import stage_clips
from .pairs import Drops, PairMaker, TrainingPairs, ValidationPairs, with_text

_CAPTIONS_FOR_TEXT = 10_000


class SuperResolutionDataModule(LightningDataModule):
    """Batches of clips as codes of two sizes.

    What needs no trainer is there at once: the clips, the text tokenizer (model/text_tokenizer; without one,
    or without captions, the stage knows no text) and `stage`, by which the transformer is built.

    Args:
        model: model folder, or name of a packaged model, whose video_tokenizer codes the small clips, and
            the large ones if `large_model` does not.
        shards: folder of codes of `videolm encode --super-resolution`.
        source: in place of shards: "synthetic", "synthetic-plain", "synthetic-lasting", or a folder or
            captions.jsonl.
        where: "key=value" conditions on the entries of a source that is not synthetic.
        scale: height and width of the large clips over those of the small ones, of a source.
        large_model: model folder whose video_tokenizer codes the large clips, where it is another one.
        height: of the large frames, as the next three; of a source what is not given is as the tokenizer of
            the large clips was trained, or twice what the only one was trained on. Shards have their own, and
            others are refused.
        width: of the frames.
        num_frames: of a clip.
        fps: frames per second.
        clips: how many, of the synthetic source.
        batch_size: clips of a step and process.
        drops: what is left out of a condition, and how noisy low-resolution codes are.
        validation_share: part of the files (or groups, where entries have a `group`) that is held out; of the
            embedded corpus, of its clips.
        validation_clips: clips of files to validate on, at most; further files are trained on.
        validation_source: shards, or a source, to validate on; nothing is held out then.
        text_pieces: of a caption that are shown at most; if not given, at least 64 and as many as 98 % of the
            captions fit in, up to 512.
        text_cache: folder in which embeddings of a frozen text encoder are kept.
        num_workers: processes that make batches; 0 makes them in this one.
        seed: of all that is drawn.

    Raises:
        FileNotFoundError: if a folder or a part of it is missing.
        ValueError: if codes and tokenizers do not fit each other.
    """

    def __init__(
        self,
        model: str,
        shards: str | None = None,
        source: str | None = None,
        where: list[str] | None = None,
        scale: int = 2,
        large_model: str | None = None,
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
        clips: int = 4096,
        batch_size: int = 16,
        drops: Drops | None = None,
        validation_share: float = VALIDATION_SHARE,
        validation_clips: int = 128,
        validation_source: str | None = None,
        text_pieces: int | None = None,
        text_cache: Path | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ):
        super().__init__()
        if (shards is None) == (source is None):
            raise ValueError("the clips come either from shards or from a source; give one of the two")
        if source is not None and num_workers:
            raise ValueError(f"num_workers is {num_workers}; a source is tokenised in this process, with 0")
        if min(batch_size, validation_clips) < 1 or not 0 < validation_share < 1:
            raise ValueError(
                f"batch_size is {batch_size}, validation_clips {validation_clips} and validation_share "
                f"{validation_share}; expected 1 or more, and a share between 0 and 1"
            )
        self.folder = model_folder(model) if is_local(model) else Path(model)
        self.large = None if large_model is None else model_folder(large_model) / "video_tokenizer"
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.drops = drops or Drops()
        if shards is not None:
            self.clips, self.encoder = pairs_of_shards(shards, self.folder, self.large)
            given = {"height": height, "width": width, "num_frames": num_frames, "fps": fps}
            _check_size(shards, self.clips.formats[0], given)
        else:
            tokenizer = self.folder / "video_tokenizer"
            size = large_size(ClipSize(height, width, num_frames, fps), tokenizer, scale, self.large)
            selection = ClipSelection(str(source), where or (), clips, split="train", seed=seed, **size.size)
            self.clips, self.encoder = clips_of_source(selection, self.folder, (), scale, self.large)
        self._divide(validation_share, validation_clips, validation_source, scale)
        self.text_tokenizer = self._text_tokenizer(text_cache)
        self.text_budget = self._text_budget(text_pieces)
        plain = stage_clips(self.clips.formats[0])
        self._stage = with_text(plain, self.text_tokenizer, self.text_budget.pieces)
        self.maker = PairMaker(self._stage, self.text_tokenizer)

    @property
    def stage(self) -> StageClips:
        return self._stage

    def setup(self, stage: str) -> None:
        if self.trainer is None:
            return
        if stage == "fit" and self.text_budget.captions and self.trainer.is_global_zero:
            print(self.text_budget)
        self.encoder.to(self.trainer.strategy.root_device)
        if isinstance(self.text_tokenizer, TextEncoder) and not self.num_workers:
            self.text_tokenizer.to(self.trainer.strategy.root_device)

    def train_dataloader(self) -> StatefulDataLoader:
        batches = self._training_pairs(*data_rank(self.trainer))
        return StatefulDataLoader(
            batches,
            batch_size=None,
            # Every process takes every step: they divide its clips by rank.
            sampler=Draws(range(batches.steps), num_replicas=1, rank=0, endless=True),
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )

    def val_dataloader(self) -> DataLoader:
        pairs = ValidationPairs(self.maker, self.validation_set, self.validation, self.batch_size)
        return DataLoader(pairs, batch_size=None, num_workers=self.num_workers)

    def amount(self, processes: int = 1) -> TrainingAmount:
        """How much there is to train on."""
        return TrainingAmount(
            len(np.unique(self.clips.columns.file[self.training])),
            len(self.validation),
            f"{self.batch_size} pairs of clips",
            len(self.training) / (self.batch_size * processes),
            len(self.training),
        )

    def contents(self) -> dict[str, str]:
        """Fingerprints of all that a training follows from beside its settings, by what they are of."""
        return {
            "text_tokenizer": self.stage.text_tokenizer,
            "low_tokenizer": self.stage.low.video_tokenizer,
            "large_tokenizer": self.stage.large.video_tokenizer,
            "clips": self.clips.fingerprint,
            "clips_to_validate": self.validation_set.fingerprint,
        }

    def export(self, folder: str | Path) -> None:
        """Write the tokenizer of the large clips into the stage's folder, if it is not the model's."""
        if self.stage.low.video_tokenizer != self.stage.large.video_tokenizer:
            self.encoder.video.save_pretrained(Path(folder) / PART / self.stage.name / "video_tokenizer")

    def _training_pairs(self, rank: int = 0, world_size: int = 1) -> TrainingPairs:
        return TrainingPairs(
            self.maker, self.clips, self.training, self.batch_size, self.drops, self.seed, rank, world_size
        )

    def _divide(self, share: float, at_most: int, source: str | None, scale: int) -> None:
        """Set what is trained on and what validated on: numbers of `clips`, and of `validation_set`."""
        self.validation_set: SizedClips = self.clips
        if source is None:
            self.training, self.validation = divided(self.clips, share, at_most, self.seed)
            return
        self.training = np.arange(len(self.clips))
        formats = self.clips.formats
        self.validation_set = clips_to_validate(source, formats, self.folder, (), scale, self.large)
        self.validation = spread(len(self.validation_set), at_most).tolist()

    def _text_tokenizer(self, cache: Path | None) -> TextTokenizer | TextEncoder | None:
        folder = self.folder / "text_tokenizer"
        return load_text_tokenizer(folder, cache) if folder.is_dir() and self._some_captions() else None

    def _text_budget(self, pieces: int | None) -> TextBudget:
        """The pieces of a caption that the stage is shown, and how many captions fit."""
        if self.text_tokenizer is None:
            return TextBudget.of_captions([], pieces)
        counts = [self.text_tokenizer.count(caption) for caption in self._some_captions()]
        return TextBudget.of_captions(counts, pieces)

    def _some_captions(self) -> list[str]:
        """All captions of training clips spread over all of them."""
        stride = len(self.training) // _CAPTIONS_FOR_TEXT + 1
        return [text for index in self.training[::stride].tolist() for text in texts(self.clips, index)]


def _check_size(shards: str, stored: ClipFormat, given: dict[str, float | None]) -> None:
    other = [
        f"{name} {value:g}" for name, value in given.items() if value not in (None, getattr(stored, name))
    ]
    if other:
        raise ValueError(
            f"{shards} holds clips of {stored.name} at {stored.fps:g} fps; "
            f"the stage is to make {', '.join(other)}"
        )


def pairs_of_shards(shards: str, folder: Path, large: Path | None) -> tuple[SizedClips, ClipEncoder]:
    """Codes of both sizes on disk, and their tokenizers.

    Args:
        folder: of the model whose tokenizer codes the small clips, and the large ones without `large`.
        large: folder of the video tokenizer of the large clips.

    Raises:
        FileNotFoundError: if there are no shards or no tokenizers.
        ValueError: if the codes are of other tokenizers, or of several sizes.
    """
    readers = read_shards(shards)
    if len(readers) > 1:
        raise ValueError(f"{shards} holds {len(readers)} sizes of clips; a stage makes one")
    stored = readers[0].clips
    stage = stage_clips(stored)
    encoder = ClipEncoder.from_pretrained(
        folder,
        height=stored.height,
        width=stored.width,
        num_frames=stored.num_frames,
        fps=stored.fps,
        super_resolution=stored.height // stage.low.height,
        large=large,
    )
    own = stage_clips(encoder.clips)
    for name, theirs, mine in (("small", stage.low, own.low), ("large", stage.large, own.large)):
        if difference := theirs.differences(mine):
            raise ValueError(
                f"{shards} holds codes of {name} clips by another tokenizer than is given ({difference}); "
                "encode the clips again, or give the model of the large clips (--data.large_model)"
            )
    encoder.clips = stored
    return SizedClips(readers), encoder
