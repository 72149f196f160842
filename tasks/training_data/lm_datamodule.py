"""What the language model is trained on; run by `videolm lm fit --config ...`.

data:
  model: runs/mine/model      tokenizers that are trained already
  shards: runs/mine/shards    codes of `videolm encode`, of one size or several (--buckets); or `source:` to
                              tokenise clips on the fly
  tasks: {text_to_video: 4, image_to_video: 2, frame_prediction: 2, video_to_audio: 1}
"""

from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lightning import LightningDataModule
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from ...data.codes.trained_clips import ClipSize
from ...data.loading.clip_datamodule import Draws
from ...data.loading.training_amount import TrainingAmount
from ...data.runtime.notes import notify
from ...data.sources.caption_variation import with_other_forms
from ...data.sources.held_out import VALIDATION_SHARE
from ...data.sources.selection import ClipSelection
from ...lm.vocabulary import Vocabulary, large_numbers
from ...tokenizers.text.frozen_encoder import TextEncoder, load_text_tokenizer
from ...tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from ...training.strategies import data_rank
from ..model_card import write_card
from ..model_config import ModelConfig
from ..recommended_sampling import RecommendedSampling
from ..spans import AudioOrder
from ..task import load_task
from ..text_budget import TextBudget, vocabulary_size
from .batches import GroupedBatches, GroupRows, PackedBatches, ValidationBatches
from .clip_pools import Pools, divided, shares_of_sizes, spread, texts
from .coded_clips import SizedClips, clips_of_shards, clips_of_source, clips_to_validate
from .examples import ExampleMaker, TrainingExamples
from .fitting_vocabulary import check_same_actions, fitting_vocabulary
from .mixture import CAPTION_VARIATION, LONG_CAPTIONS, Mixture
from .model_text import set_since, write_text

# Clips whose captions decide on pieces of text; more would only take longer, an encoder's 0.2 ms each.
_CAPTIONS_FOR_TEXT, _CAPTIONS_FOR_ENCODER = 50_000, 10_000
# Captions that are read in other forms, too, at 0.2 ms each: the words of the forms are few.
_CAPTIONS_IN_FORMS = 5_000


class LMDataModule(LightningDataModule):
    """Batches of sequences for the tasks of a mixture.

    What needs no trainer is there at once: the clips, the text tokenizer (model/text_tokenizer, or trained
    on the captions of the training part) and `vocabulary` (model/vocabulary.json if it fits, or a new one),
    by which the model is built.

    Args:
        model: model folder with the tokenizers.
        tasks: task -> weight, how often it is drawn relative to the others.
        shards: folder of codes; of several sizes the first that was named when they were encoded, and has
            clips, becomes the model's default.
        source: in place of shards: "synthetic", "synthetic-plain", "synthetic-lasting", or a folder or
            captions.jsonl.
        where: "key=value" conditions on the entries of a source that is not synthetic.
        height: of the frames of a source, as the next three; what is not given is as the tokenizer was
            trained. Shards say their own.
        width: of the frames.
        num_frames: of a clip.
        fps: frames per second.
        clips: how many, of the synthetic source.
        batch_size: rows of a step and process.
        batching: "grouped" has one example in a row, and all of one task and size in a step; "packed" has
            examples of all tasks and sizes one after the other in rows of `row_tokens` positions.
        row_tokens: of "packed"; a batch holds batch_size * row_tokens positions.
        batch_tokens: of "grouped"; in place of `batch_size` as many rows as hold so many positions together,
            so that steps of all tasks and sizes cost about the same.
        sizes: how often each size, such as 17x128x128, is drawn relative to the others; by its number of
            clips if not given.
        images_first: draw tasks that make images in 90 % of the first quarter of `trainer.max_steps`, and in
            10 % after it.
        long_captions: share of rows that show what a captioner wrote (`videolm data caption`), of those whose
            clips have such a caption and others too.
        caption_variation: share of rows whose caption is written in another form, so that prompts may have
            it: other case, signs and order, lead-ins ("a video of") and tails (", 4k, high quality").
        given_noise: share of the bits of given latents that are flipped at most, so that long videos keep
            what they show; each row draws its own share up to this.
        validation_share: part of the files (or groups, where entries have a `group`) that is held out; of the
            embedded corpus, of its clips.
        validation_clips: clips of files to validate on, at most; further files are trained on.
        validation_source: shards of the same sizes, or a source, to validate on; nothing is held out then.
        text_vocab_size: pieces of a text tokenizer that is trained here; if not given, 512 to 8192 as the
            captions have more different words.
        text_pieces: of a caption that are shown at most; if not given, at least 64 and as many as 98 % of the
            captions fit in, up to 512.
        text_encoder: in place of pieces: the folder of a T5 or its name on Hugging Face's hub, whose frozen
            encoder reads the captions.
        text_cache: folder in which its embeddings are kept; without one a caption is encoded each time.
        source_name: a name for these clips, such as a class of quality, that stands in every sequence: a
            model fine-tuned with one (task adaptation) is told at generation that this is wanted.
        audio_order: order of the audio codes in a sequence: "level" by level, or "time" by time.
        num_workers: processes that make batches; 0 makes them in this one.
        seed: of all that is drawn.
        recommended_sampling: task -> field of `Sampling` -> value: how the model draws where nothing else is
            asked for. What is not said is as the model recommends from which the training starts, if it does.
        init_from: that model, from the module.
        kept_text: folder of a run that goes on, with the text tokenizer and the vocabulary that it was begun
            with; they are not made anew.

    Raises:
        FileNotFoundError: if a folder or a part of it is missing.
        ValueError: if codes, tokenizers and tasks do not fit each other.
    """

    def __init__(
        self,
        model: str,
        tasks: dict[str, float],
        shards: str | None = None,
        source: str | None = None,
        where: list[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
        clips: int = 4096,
        batch_size: int = 32,
        batching: Literal["grouped", "packed"] = "grouped",
        row_tokens: int = 2048,
        batch_tokens: int | None = None,
        sizes: dict[str, float] | None = None,
        images_first: bool = False,
        long_captions: float = LONG_CAPTIONS,
        caption_variation: float = CAPTION_VARIATION,
        given_noise: float = 0.0,
        validation_share: float = VALIDATION_SHARE,
        validation_clips: int = 128,
        validation_source: str | None = None,
        text_vocab_size: int | None = None,
        text_pieces: int | None = None,
        text_encoder: str | None = None,
        text_cache: Path | None = None,
        source_name: str = "",
        audio_order: AudioOrder = "level",
        num_workers: int = 0,
        seed: int = 0,
        recommended_sampling: dict[str, dict[str, Any]] | None = None,
        init_from: Path | None = None,
        kept_text: Path | None = None,
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
        if batch_tokens is not None and (batching == "packed" or batch_tokens < 1):
            raise ValueError(
                f"batch_tokens is {batch_tokens} with {batching} batches; "
                "expected 1 or more and grouped ones"
            )
        self.folder = Path(model)
        self.text_folder = self.folder if kept_text is None else kept_text
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        if shards is not None:
            self.clips, self.encoder = clips_of_shards(shards, self.folder)
        else:
            size = ClipSize(height, width, num_frames, fps).of(self.folder / "video_tokenizer")
            selection = ClipSelection(str(source), where or (), clips, split="train", seed=seed, **size.size)
            known = [load_task(name) for name in tasks]
            self.clips, self.encoder = clips_of_source(selection, self.folder, known)
        self.tasks = tasks
        self.long_captions, self.given_noise = long_captions, given_noise
        self.caption_variation = caption_variation
        self.latents = [each.grid[0] for each in self.clips.formats]
        if given_noise and any(prod(each.factors) & (prod(each.factors) - 1) for each in self.clips.formats):
            raise ValueError("given_noise flips bits of codes, and the codes of this tokenizer have none")
        self.mixture = Mixture(tasks, self.latents, seed)
        self.names = [task.name for task in self.mixture.tasks]
        self.said = RecommendedSampling.of(
            recommended_sampling or {}, self.names, "data.recommended_sampling"
        )
        check_same_actions(self.clips.formats[0], init_from)
        start = RecommendedSampling() if init_from is None else RecommendedSampling.load(init_from)
        self.recommended = self.said.over(start.of_tasks(self.names))
        self.size_shares = shares_of_sizes(self.clips.formats, sizes)
        self._divide(validation_share, validation_clips, validation_source)
        self.pools = Pools(self.clips, self.training, self.mixture)
        self.text_tokenizer = self._text_tokenizer(text_vocab_size, text_encoder, text_cache)
        self.text_budget = self._text_budget(text_pieces)
        pieces = self.text_tokenizer.vocab_size if isinstance(self.text_tokenizer, TextTokenizer) else 0
        numbers = large_numbers(number for each in self.clips.formats[1:] for number in each.grid)
        added = [*numbers, *([source_name] if source_name else [])]
        self._vocabulary = fitting_vocabulary(
            self.clips.formats[0], self.mixture.tasks, pieces, self.text_folder, added
        )
        self.config = self._config(audio_order, source_name)
        lengths = [self.config.lengths_of(each) for each in self.config.formats]
        self.maker = ExampleMaker(self._vocabulary, self.text_tokenizer, lengths, self.text_budget.pieces)
        self.rows = GroupRows(self.maker, batch_size, batch_tokens)
        self.batching, self.row_tokens, self.images_first = batching, row_tokens, images_first
        self._training_batches()  # what does not fit is said now rather than at the first step
        self._say_what_is_left_out()

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def text_width(self) -> int:
        """Features of the embeddings of text; 0 for pieces."""
        return self.text_tokenizer.width if isinstance(self.text_tokenizer, TextEncoder) else 0

    def setup(self, stage: str) -> None:
        if self.trainer is None:
            return
        if stage == "fit" and self.text_budget.captions and self.trainer.is_global_zero:
            print(self.text_budget)
        self.encoder.to(self.trainer.strategy.root_device)
        if isinstance(self.text_tokenizer, TextEncoder) and not self.num_workers:
            self.text_tokenizer.to(self.trainer.strategy.root_device)

    def train_dataloader(self) -> StatefulDataLoader:
        batches = self._training_batches(*data_rank(self.trainer))
        return StatefulDataLoader(
            batches,
            batch_size=None,
            # Every process takes every step: they share its task and divide its clips by rank.
            sampler=Draws(range(batches.steps), num_replicas=1, rank=0, endless=True),
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )

    def val_dataloader(self) -> DataLoader:
        batches = ValidationBatches(self.rows, self.mixture.tasks, self.validation_set, self.validation)
        return DataLoader(batches, batch_size=None, num_workers=self.num_workers)

    def amount(self, processes: int = 1) -> TrainingAmount:
        """How much there is to train on."""
        batches = self._training_batches(0, processes)
        shown = self.pools.shown
        step = f"{self.batch_size} sequences of one task"
        steps_a_pass = len(shown) / (self.batch_size * processes)
        if isinstance(batches, PackedBatches):
            step = f"{self.batch_size} rows of {self.row_tokens:,} positions"
            steps_a_pass = float(batches.steps)
        elif self.rows.batch_tokens is not None:
            step = f"up to {self.rows.batch_tokens:,} positions of one task"
            steps_a_pass = float(batches.steps)
        return TrainingAmount(
            len(np.unique(self.clips.columns.file[shown])),
            len(self.validation),
            step,
            steps_a_pass,
            len(shown),
        )

    def contents(self) -> dict[str, str]:
        """Fingerprints of all that a training follows from beside its settings, by what they are of."""
        text = "" if self.text_tokenizer is None else self.text_tokenizer.fingerprint
        clips = self.clips.formats[0]
        return {
            "text_tokenizer": text,
            "video_tokenizer": clips.video_tokenizer,
            "audio_tokenizer": clips.audio_tokenizer,
            "vocabulary": " ".join(f"{block.name} {block.start}" for block in self.vocabulary.blocks),
            "clips": self.clips.fingerprint,
            "clips_to_validate": self.validation_set.fingerprint,
        }

    def export(self, folder: str | Path) -> None:
        """Write text_tokenizer/, vocabulary.json, config.json and sampling.json of the model that was trained
        with these. Of the sampling it keeps what was set since in the folder."""
        folder = Path(folder)
        since = set_since(folder, self.config.tasks)
        self.keep_text(folder, self.said.over(since).over(self.recommended))
        write_card(folder)

    def keep_text(self, folder: Path, recommended: RecommendedSampling | None = None) -> None:
        """Write them without a page, to the folder of a run that begins (`kept_text`)."""
        write_text(
            folder, self.config, self.vocabulary, self.text_tokenizer, recommended or self.recommended
        )

    def _divide(self, share: float, at_most: int, source: str | None) -> None:
        """Set what is trained on and what validated on: numbers of `clips`, and of `validation_set`."""
        self.validation_set: SizedClips = self.clips
        if source is None:
            self.training, self.validation = divided(self.clips, share, at_most, self.seed)
            return
        self.training = np.arange(len(self.clips))
        self.validation_set = clips_to_validate(source, self.clips.formats, self.folder, self.mixture.tasks)
        self.validation = spread(len(self.validation_set), at_most).tolist()

    def _config(self, audio_order: AudioOrder, source_name: str) -> ModelConfig:
        text = self.text_tokenizer.fingerprint if self.text_tokenizer is not None else ""
        clips, *others = self.clips.formats
        return ModelConfig(
            clips,
            tuple(self.names),
            text,
            audio_order,
            source_name,
            self.text_width,
            others=tuple(others),
            text_pieces=self.text_budget.pieces,
        )

    def _training_batches(self, rank: int = 0, world_size: int = 1) -> GroupedBatches | PackedBatches:
        mixture = Mixture(
            self.tasks,
            self.latents,
            self.seed,
            self._image_steps(),
            self.long_captions,
            size_shares=self.size_shares or [float(count) for count in self.pools.sizes],
            served=self.pools.served(self.mixture.tasks),
            given_noise=self.given_noise,
            caption_variation=self.caption_variation,
        )
        examples = TrainingExamples(self.maker, mixture, self.clips, self.pools)
        if self.batching == "grouped":
            return GroupedBatches(examples, self.rows, self.size_shares, rank, world_size)
        usual = self.text_budget.usual
        return PackedBatches(examples, self.batch_size, self.row_tokens, usual, rank, world_size)

    def _say_what_is_left_out(self) -> None:
        for clips, shown in zip(self.clips.formats, self.pools.sizes, strict=True):
            if not shown:
                hint = "; text_to_image would" if clips.grid[0] == 1 else ""
                notify(f"no task learns from the clips of {clips.name}{hint}")

    def _image_steps(self) -> int | None:
        """The batches of the whole training, if images are to come first."""
        if not self.images_first:
            return None
        if self.trainer is None:
            return 0
        if self.trainer.max_steps < 1:
            raise ValueError("images_first needs to know how long the training is; give trainer.max_steps")
        return self.trainer.max_steps * self.trainer.accumulate_grad_batches

    def _text_tokenizer(
        self, vocab_size: int | None, encoder: str | None, cache: Path | None
    ) -> TextTokenizer | TextEncoder | None:
        if all(task.text == "none" for task in self.mixture.tasks):
            return None
        folder = self.text_folder / "text_tokenizer"
        if folder.is_dir():
            found = load_text_tokenizer(folder, cache)
            if encoder is not None and getattr(found, "source", None) != TextEncoder.source_of(encoder):
                raise ValueError(
                    f"{folder} holds another text tokenizer; remove it, or leave out text_encoder {encoder}"
                )
            return found.having_seen(self._texts_shown()) if isinstance(found, TextTokenizer) else found
        if encoder is not None:
            return TextEncoder.open(encoder, cache)
        shown = self._texts_shown()
        return TextTokenizer.train(shown, vocab_size or vocabulary_size(shown)) if shown else None

    def _texts_shown(self) -> list[str]:
        """Captions as rows show them: as they came, and in other forms if they are varied."""
        captions = self._captions_for_text
        if not self.caption_variation:
            return captions
        varied = captions[:: len(captions) // _CAPTIONS_IN_FORMS + 1]
        if len(varied) == len(captions):
            return with_other_forms(captions)
        return captions + with_other_forms(varied)

    def _text_budget(self, pieces: int | None) -> TextBudget:
        """The pieces of a caption that the model is shown, and how many captions fit."""
        if self.text_tokenizer is None:
            return TextBudget.of_captions([], pieces)
        is_encoder = isinstance(self.text_tokenizer, TextEncoder)
        captions = self._some_captions(_CAPTIONS_FOR_ENCODER) if is_encoder else self._captions_for_text
        return TextBudget.of_captions([self.text_tokenizer.count(caption) for caption in captions], pieces)

    @cached_property
    def _captions_for_text(self) -> list[str]:
        return self._some_captions(_CAPTIONS_FOR_TEXT)

    def _some_captions(self, most: int) -> list[str]:
        """All captions of training clips spread over all of them, of about so many."""
        stride = len(self.training) // most + 1
        return [text for index in self.training[::stride].tolist() for text in texts(self.clips, index)]
