"""VideoLM: a trained model in one object.

    model = VideoLM.from_pretrained("runs/demo/model")
    clip = model.generate("text_to_video", text="a red square moves right", seed=0)
    clip.save("out.mp4")

A model folder holds config.json (sizes and tasks), vocabulary.json, lm/, video_tokenizer/ and, where its
tasks need them, text_tokenizer/ and audio_tokenizer/; sampling.json if it recommends how to sample, and
super_resolution/ if it enlarges clips.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Unpack

import torch

from ..data.codes.clip_format import ClipFormat
from ..data.media.clip import Clip
from ..data.runtime.device import device_of
from ..data.runtime.forking import survive_forks
from ..data.runtime.hub import HubOptions, PushOptions
from ..data.runtime.model_source import model_folder
from ..data.runtime.stored_weights import Weights
from ..lm.decoding.generate import Generation
from ..lm.decoding.sampling import DrawSettings, Sampling
from ..lm.model.transformer import PrefixLM
from ..lm.vocabulary import Vocabulary
from ..super_resolution.decoding import DecodeSettings
from ..tasks.model_card import ModelCard, write_card
from ..tasks.model_config import ModelConfig, check_model, model_fingerprint, save_model_files
from ..tasks.recommended_sampling import RecommendedSampling
from ..tasks.task import Task
from ..tokenizers.audio.protocol import AudioCodec, load_audio_tokenizer
from ..tokenizers.text.frozen_encoder import TextEncoder, load_text_tokenizer
from ..tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from ..tokenizers.video.protocol import VideoCodec, load_video_tokenizer
from .batches import batches_of, part_of
from .clip_codec import ClipCodec, Codes
from .model_files import fingerprint_of, push_model, save_parts, save_stages
from .prompt import Prompt, PromptParts
from .prompt_rows import Row, RowMaker, alike, with_given
from .seeds import Seed, Seeds, seed_of, seeds_of
from .streaming import ClipStream, Preview, ids_of
from .upscaling import Upscaler


class VideoLM:
    """A language model with its tokenizers.

    Args:
        tasks: those that it is to do, all of `config.tasks` if not given: without one that reads or makes
            sound it needs no audio tokenizer.

    Attributes:
        recommended: how codes of each task are drawn where nothing else is asked for.
        upscaler: the stages of super-resolution of the folder that it was loaded from.

    Raises:
        FileNotFoundError: if a tokenizer that the tasks need is missing.
        ValueError: if a tokenizer is not the one whose codes the model was trained on.
    """

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: Vocabulary,
        lm: PrefixLM,
        video_tokenizer: VideoCodec,
        audio_tokenizer: AudioCodec | None = None,
        text_tokenizer: TextTokenizer | TextEncoder | None = None,
        tasks: Sequence[str] | None = None,
    ):
        survive_forks()
        needs_sound = config.needs_sound(tasks)
        config.check_tokenizers(video_tokenizer, audio_tokenizer, text_tokenizer, needs_sound=needs_sound)
        self.config = config
        self.vocabulary = vocabulary
        self.lm = lm.eval()
        self.recommended = RecommendedSampling()
        self._fingerprint: str | None = None
        self._folder: Path | None = None
        self.codec = ClipCodec(config, video_tokenizer, audio_tokenizer, self.device)
        self.text_tokenizer = text_tokenizer
        self.rows = RowMaker(config, vocabulary, text_tokenizer, self.codec)
        self.upscaler = Upscaler()

    def __repr__(self) -> str:
        sizes = " ".join(each.name for each in self.config.formats)
        return f"<VideoLM {sizes}: {' '.join(self.config.tasks)}>"

    @property
    def fingerprint(self) -> str:
        """Hex digits that change with any setting or weight: those of the folder that it was loaded from
        (`model_fingerprint`), or of what it holds."""
        if self._fingerprint is None:
            tokenizers = (self.codec.video_tokenizer, self.codec.audio_tokenizer, self.text_tokenizer)
            held = [None if part is None else part.fingerprint for part in tokenizers]
            self._fingerprint = fingerprint_of(self.config, self.vocabulary, self.lm, held)
        return self._fingerprint

    @property
    def clips(self) -> ClipFormat:
        """The size of the clips that the model makes if none is asked for; `config.formats` has all."""
        return self.config.clips

    @property
    def video_tokenizer(self) -> VideoCodec:
        return self.codec.video_tokenizer

    @property
    def audio_tokenizer(self) -> AudioCodec | None:
        return self.codec.audio_tokenizer

    @property
    def device(self) -> torch.device:
        return next(self.lm.parameters()).device

    def to(self, device: torch.device | str) -> "VideoLM":
        self.lm.to(device)
        self.codec.to(self.device)
        self.upscaler.to(self.device)
        if isinstance(self.text_tokenizer, TextEncoder):
            self.text_tokenizer.to(device)
        return self

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | None = None,
        device: str = "auto",
        dtype: torch.dtype | None = None,
        tasks: Sequence[str] | None = None,
        verify: bool = False,
        **hub: Unpack[HubOptions],
    ) -> "VideoLM":
        """Load a model.

        Args:
            model: a packaged one's name, a folder, or user/name on Hugging Face's hub
                (data/runtime/model_source.py); the packaged model if not given.
            device: "auto" is a GPU if there is one.
            dtype: of the language model's weights, if not float32, however they are stored: in bfloat16 a GPU
                generates nearly twice as fast.
            tasks: that the model is loaded for; all of its own if not given. Those without sound need no
                audio tokenizer, whose library takes longer to load than all else.
            verify: compare all bytes with their checksums; else of a file above 1 GB 256 pieces.
            hub: revision, token, cache_dir and local_files_only, for a model on the hub.

        Raises:
            FileNotFoundError: if there is no such model, or a part of it is missing.
            ValueError: if a file is damaged, a part does not fit the others, the model was not trained on a
                task, or there is no such device.
        """
        folder, target = model_folder(model, **hub), device_of(device)
        config = ModelConfig.load(folder)
        if verify:
            check_model(folder, verify=True)
        vocabulary = Vocabulary.load(folder / "vocabulary.json")
        loaded = cls(
            config,
            vocabulary,
            PrefixLM.from_pretrained(folder / "lm", vocabulary).to(dtype=dtype),
            load_video_tokenizer(folder / "video_tokenizer"),
            load_audio_tokenizer(folder / "audio_tokenizer") if config.needs_sound(tasks) else None,
            load_text_tokenizer(folder / "text_tokenizer") if config.text_tokenizer else None,
            tasks,
        )
        loaded.recommended = RecommendedSampling.load(folder)
        loaded._fingerprint, loaded._folder = model_fingerprint(folder), folder
        loaded.upscaler = Upscaler(folder, text_tokenizer=loaded.text_tokenizer)
        return loaded.to(target)

    def save_pretrained(
        self, folder: str | Path, weights: Weights = "float32", card: ModelCard | None = None
    ) -> None:
        """Write a folder that `from_pretrained` reads, with a page about it (README.md).

        Args:
            weights: what they are stored as; they load in float32. Tokenizers that this rounds are others,
                which codes on disk are not of.
            card: what only people know of the model; if not given, that of the folder, or of the model's own.

        Raises:
            ValueError: if the model was loaded without its audio tokenizer, or a weight is beyond the range.
        """
        folder, text = Path(folder), self.text_tokenizer
        parts = {"video_tokenizer": self.video_tokenizer, "text_tokenizer": text, "lm": self.lm}
        if self.config.clips.has_audio:
            parts["audio_tokenizer"] = self.codec.audio_codec
        config = save_parts(folder, parts, self.config, weights)
        save_stages(folder, self.upscaler.folder, self.config.clips, config.clips, weights)
        save_model_files(folder, config, self.vocabulary)
        self.recommended.save(folder)
        write_card(folder, card, like=self._folder)

    def push_to_hub(
        self,
        name: str,
        weights: Weights = "float32",
        card: ModelCard | None = None,
        **options: Unpack[PushOptions],
    ) -> str:
        """Copy the model to user/name of Hugging Face's hub; returns the address.

        Args:
            weights, card: as `save_pretrained`.
            options: private (a new repository), token, revision (a branch) and commit_message.

        Raises:
            FileNotFoundError, ValueError: as `save_pretrained`, and if the hub refuses.
        """
        with TemporaryDirectory() as place:
            self.save_pretrained(Path(place, "model"), weights, card)
            return push_model(Path(place, "model"), name, **options)

    def settings(self, task: str, sampling: Sampling | None = None, *, text: bool = True) -> DrawSettings:
        """How codes of one of `config.tasks` are drawn: as asked for, else as recommended, else by default.

        Args:
            text: whether the prompt has one; a recommended guidance has nothing to lead to without.
        """
        return self.recommended.settings(task, sampling, text=text)

    def generate(
        self,
        task: str,
        prompt: Prompt | None = None,
        *,
        seed: Seed = 0,
        sampling: Sampling | None = None,
        composite: bool = True,
        **parts: Unpack[PromptParts],
    ) -> Clip:
        """Generate one clip.

        Given media are brought to the model's size, rate and length; a warning says what was changed.

        Args:
            task: one of `config.tasks`.
            prompt: what the clip is generated from.
            seed: a whole number; None draws one, which a warning names.
            sampling: how codes are drawn, such as Sampling(guidance_scale=3); what it leaves open is as the
                model recommends for the task.
            composite: put the known pixels of a painted video back into the result.
            parts: fields of `Prompt`, such as text="a red square", over those of `prompt`.

        Raises:
            ValueError: if the task is not one of the model's, lacks an input or cannot use one, or the model
                was not trained on the size.
        """
        options = {"seed": seed, "sampling": sampling, "composite": composite}
        return self.generate_many(task, prompt, num_samples=1, **options, **parts)[0]

    def generate_many(
        self,
        task: str,
        prompt: Prompt | None = None,
        *,
        num_samples: int,
        seed: Seed = 0,
        sampling: Sampling | None = None,
        composite: bool = True,
        **parts: Unpack[PromptParts],
    ) -> list[Clip]:
        """Several clips of one prompt, with the seeds seed, seed + 1, …: each as `generate` gives it."""
        prompts = [replace(prompt or Prompt(), **parts)] * num_samples
        return self.generate_batch(task, prompts, seed=seed, sampling=sampling, composite=composite)

    @torch.no_grad()  # not inference_mode, whose tensors no training takes
    def generate_batch(
        self,
        task: str,
        prompts: Sequence[Prompt],
        *,
        seed: Seeds = 0,
        sampling: Sampling | None = None,
        batch_size: int = 32,
        progress: Callable[[float], None] | None = None,
        composite: bool = True,
        show: Callable[[int, Clip], object] | None = None,
    ) -> list[Clip]:
        """One clip for each prompt, which depends on its seed and not on the batch that it is in.

        Args:
            seed: of the first prompt, the next has the next; or one for each.
            progress: called with the number of clips done, counting parts of clips.
            composite: as `generate`.
            show: called with the number of a prompt and its next frames, without sound, once they are there.

        Raises:
            ValueError: as `generate`.
        """
        seeds = seeds_of(seed, len(prompts))
        definition = self.config.task(task)
        clips: dict[int, Clip] = {}
        rows, settings = self.rows_of(definition, prompts, sampling)
        kinds = {portion.kind for portion in definition.outputs}
        for indices in alike(rows, settings, batch_size):
            group = [rows[index] for index in indices]
            report = part_of(progress, len(clips), len(group))
            generators = [torch.Generator(self.device).manual_seed(seeds[index]) for index in indices]
            preview = show and Preview(definition, group, indices, self.codec, composite, show)
            codes = self._codes(group, settings[indices[0]], generators, report, preview)
            made = self.codec.decode([{name: each[name] for name in each if name in kinds} for each in codes])
            for index, clip in zip(indices, made, strict=True):
                clips[index] = with_given(clip, rows[index], definition, composite)
        return [replace(clips[index], caption=prompt.text) for index, prompt in enumerate(prompts)]

    def stream(
        self,
        task: str,
        prompt: Prompt | None = None,
        *,
        seed: Seed = 0,
        sampling: Sampling | None = None,
        composite: bool = True,
        **parts: Unpack[PromptParts],
    ) -> ClipStream:
        """The clip that `generate` makes, in parts, each as soon as its codes are there: iterate over them.

        Raises:
            ValueError: as `generate`, and if the task makes no frames.
        """
        prompt, definition = replace(prompt or Prompt(), **parts), self.config.task(task)
        (row,), (settings,) = self.rows_of(definition, [prompt], sampling)
        generator = torch.Generator(self.device).manual_seed(seed_of(seed))
        batch, unconditional = batches_of([row], settings)
        generation = Generation(self.lm, batch, settings, [generator], unconditional)
        return ClipStream(definition, row, generation, self.codec, prompt.text, composite)

    def upscale(
        self,
        given: Clip | Codes,
        *,
        text: str | None = None,
        factor: int = 2,
        seed: Seed = 0,
        settings: DecodeSettings | None = None,
    ) -> Clip:
        """A clip of `factor` times the height and width, by the stages of super-resolution in its folder.

        Args:
            given: a clip of any length, whose sound is kept, or codes as `encode` gives them.
            text: what is to be seen, for a stage that reads text.
            settings: how the stages decode.

        Raises:
            ValueError: if the stages do not make this of it, were trained with other tokenizers, or know
                no text and one is given.
        """
        options = {"text": text, "factor": factor, "seed": seed, "settings": settings}
        if isinstance(given, Clip):
            return self.upscaler.upscale(given, **options)
        made = self.upscaler.upscale(self.codec.clip_codes(given["visual"]), **options)
        return replace(self.decode(given), frames=made.frames)

    def encode(self, clip: Clip) -> Codes:
        """Codes of a clip: "visual" (t h w) and, if clip and model have sound, "audio" (levels frames).

        Raises:
            ValueError: if the clip has a size or frame rate that the model has not, or a length that the
                tokenizer does not take.
        """
        return self.codec.encode(clip)

    def decode(self, codes: Codes) -> Clip:
        """The clip of "visual" or "audio" codes or both; sound alone comes with black frames."""
        (clip,) = self.codec.decode([codes])
        return clip

    def decode_batch(self, codes: Sequence[Codes]) -> list[Clip]:
        """As `decode` of each."""
        return self.codec.decode(codes)

    def rows_of(
        self, task: Task, prompts: Sequence[Prompt], sampling: Sampling | None
    ) -> tuple[list[Row], list[DrawSettings]]:
        """What the model reads for each prompt, and how its codes are drawn."""
        settings = [self.settings(task.name, sampling, text=each.text is not None) for each in prompts]
        return self.rows.rows(task, prompts, [each.guidance_scale for each in settings]), settings

    def _codes(
        self,
        rows: Sequence[Row],
        settings: DrawSettings,
        generators: list[torch.Generator],
        progress: Callable[[int, int], None] | None,
        preview: Preview | None,
    ) -> list[Codes]:
        batch, unconditional = batches_of(rows, settings)
        generation = Generation(self.lm, batch, settings, generators, unconditional)
        ids = ids_of(generation, progress, preview).cpu()
        return [row.layout.unpack(own[: len(row.layout)]) for row, own in zip(rows, ids, strict=True)]
