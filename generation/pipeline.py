"""VideoLM: a trained model in one object.

    model = VideoLM.from_pretrained("runs/demo/model")
    clip = model.generate("text_to_video", text="a red square moves right", guidance_scale=3.0, seed=0)
    clip.save("out.mp4")

A model folder holds config.json (sizes and tasks), vocabulary.json, lm/, video_tokenizer/ and, where its
tasks need them, text_tokenizer/ and audio_tokenizer/.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..data.analysis.geometry import Geometry
from ..data.codes.clip_format import ClipFormat
from ..data.media.clip import Clip
from ..data.media.pixels import frames_from_pixels, pixels_from_frames
from ..data.media.timing import audio_samples
from ..data.runtime.device import device_of
from ..lm.batch import Batch
from ..lm.decoding.generate import Generation
from ..lm.decoding.generate import generate as generate_ids
from ..lm.decoding.sampling import DrawSettings, Sampling
from ..lm.model.transformer import PrefixLM
from ..lm.vocabulary import Vocabulary
from ..tasks.clip_size import SizeChoice
from ..tasks.model_config import ModelConfig
from ..tokenizers.audio.protocol import AudioCodec, load_audio_tokenizer
from ..tokenizers.text.frozen_encoder import TextEncoder, load_text_tokenizer
from ..tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from ..tokenizers.video.protocol import VideoCodec, load_video_tokenizer
from .best_of import nearest_known
from .prompt import Given, GivenMask, Prompt
from .prompt_rows import Codes, Row, RowMaker, alike, composited, with_given
from .streaming import ClipStream


class VideoLM:
    """A language model with its tokenizers.

    Raises:
        FileNotFoundError: if a tokenizer that the model was trained with is missing.
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
    ):
        config.check_tokenizers(video_tokenizer, audio_tokenizer, text_tokenizer)
        self.config = config
        self.vocabulary = vocabulary
        self.lm = lm.eval()
        self.video_tokenizer = video_tokenizer.eval()
        self.audio_tokenizer = audio_tokenizer.eval() if audio_tokenizer is not None else None
        self.text_tokenizer = text_tokenizer
        self.rows = RowMaker(config, vocabulary, text_tokenizer, self._visual_codes, self._audio_codes)

    @property
    def clips(self) -> ClipFormat:
        """The size of the clips that the model makes if none is asked for; `config.formats` has all."""
        return self.config.clips

    @property
    def device(self) -> torch.device:
        return next(self.lm.parameters()).device

    def to(self, device: torch.device | str) -> "VideoLM":
        for module in (self.lm, self.video_tokenizer, self.audio_tokenizer):
            if module is not None:
                module.to(device)
        if isinstance(self.text_tokenizer, TextEncoder):
            self.text_tokenizer.to(device)
        return self

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, device: str = "auto", dtype: torch.dtype | None = None
    ) -> "VideoLM":
        """Load a model folder.

        Args:
            device: "auto" is a GPU if there is one.
            dtype: of the language model's weights, if not as they are stored: in bfloat16 a GPU generates
                nearly twice as fast.

        Raises:
            FileNotFoundError: if the folder or a part of it is missing.
            ValueError: if a part does not fit the others, or there is no such device.
        """
        folder, target = Path(folder), device_of(device)
        config = ModelConfig.load(folder)
        vocabulary = Vocabulary.load(folder / "vocabulary.json")
        loaded = cls(
            config,
            vocabulary,
            PrefixLM.from_pretrained(folder / "lm", vocabulary).to(dtype=dtype),
            load_video_tokenizer(folder / "video_tokenizer"),
            load_audio_tokenizer(folder / "audio_tokenizer") if config.clips.has_audio else None,
            load_text_tokenizer(folder / "text_tokenizer") if config.text_tokenizer else None,
        )
        return loaded.to(target)

    def save_pretrained(self, folder: str | Path) -> None:
        folder = Path(folder)
        self.video_tokenizer.save_pretrained(folder / "video_tokenizer")
        if self.audio_tokenizer is not None:
            self.audio_tokenizer.save_pretrained(folder / "audio_tokenizer")
        if self.text_tokenizer is not None:
            self.text_tokenizer.save_pretrained(folder / "text_tokenizer")
        self.lm.save_pretrained(folder / "lm")
        self.vocabulary.save(folder / "vocabulary.json")
        self.config.save(folder)

    def settings(self, task: str, sampling: Sampling | None = None) -> DrawSettings:
        """How codes of a task are drawn: as asked for, else by the defaults."""
        return (sampling or Sampling()).settings()

    def generate(
        self,
        task: str,
        *,
        text: str | None = None,
        negative: str | None = None,
        image: Given | None = None,
        video: Given | None = None,
        audio: Given | None = None,
        mask: GivenMask | None = None,
        geometry: Geometry | None = None,
        size: SizeChoice | None = None,
        seed: int = 0,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        guidance_scale: float = 1.0,
        num_samples: int | None = None,
        composite: bool = True,
    ) -> Clip | list[Clip]:
        """Generate one clip, or a list of `num_samples` with the seeds seed, seed + 1, …

        Given media are brought to the model's size, rate and length; a warning says what was changed.

        Args:
            task: one of `config.tasks`; `Prompt` says what each input is.
            size: of those that the model was trained on, such as SizeChoice("16:9"); else its default.
            temperature: below 1 likelier, above 1 more varied.
            top_k: sample from the k likeliest codes only.
            top_p: sample from the likeliest codes that together have this probability.
            guidance_scale: 1 is off; above, the text is followed more closely, away from `negative`.
            composite: put the known pixels of a painted video back into the result.

        Raises:
            ValueError: if the task is not one of the model's, lacks an input or cannot use one, or the model
                was not trained on the size.
        """
        prompt = Prompt(
            text=text,
            negative=negative,
            image=image,
            video=video,
            audio=audio,
            mask=mask,
            geometry=geometry,
            size=size,
        )
        clips = self.generate_batch(
            task,
            [prompt] * (num_samples or 1),
            seed=seed,
            sampling=Sampling(temperature, top_k, top_p, guidance_scale),
            composite=composite,
        )
        return clips if num_samples is not None else clips[0]

    @torch.inference_mode()
    def generate_batch(
        self,
        task: str,
        prompts: Sequence[Prompt],
        *,
        seed: int | Sequence[int] = 0,
        sampling: Sampling | None = None,
        batch_size: int = 32,
        progress: Callable[[float], None] | None = None,
        composite: bool = True,
    ) -> list[Clip]:
        """One clip for each prompt, which depends on its seed and not on the batch that it is in.

        Args:
            seed: of the first prompt, the next has the next; or one for each.
            progress: called with the number of clips done, counting parts of clips.
            composite: as `generate`.

        Raises:
            ValueError: as `generate`.
        """
        settings = self.settings(task, sampling)
        seeds = range(seed, seed + len(prompts)) if isinstance(seed, int) else seed
        definition = self.config.task(task)
        clips: dict[int, Clip] = {}
        rows = [self.rows.row(definition, prompt, settings.guidance_scale) for prompt in prompts]
        kinds = {portion.kind for portion in definition.outputs}
        for indices in alike(rows, batch_size):
            group = [rows[index] for index in indices]
            report = _part(progress, len(clips), len(group))
            generators = [torch.Generator(self.device).manual_seed(seeds[index]) for index in indices]
            codes = self._codes(group, settings, generators, report)
            made = self.decode_batch([{name: each[name] for name in each if name in kinds} for each in codes])
            for index, clip in zip(indices, made, strict=True):
                clips[index] = with_given(clip, rows[index], definition, composite)
        return [replace(clips[index], caption=prompt.text) for index, prompt in enumerate(prompts)]

    def paint_best(
        self,
        task: str,
        prompts: Sequence[Prompt],
        tries: int,
        *,
        seed: Sequence[int],
        sampling: Sampling | None = None,
        batch_size: int = 32,
        progress: Callable[[float], None] | None = None,
        composite: bool = True,
    ) -> list[Clip]:
        """As `generate_batch`, of so many paintings of each prompt the one that `nearest_known` chooses.

        Args:
            tries: paintings of each prompt.
            seed: of the first try of each prompt; the next has the next.
            progress: called with the number of paintings done.

        Raises:
            ValueError: as `generate`, and if the task is not one that paints.
        """
        definition, settings = self.config.task(task), self.settings(task, sampling)
        rows = [self.rows.row(definition, prompt, settings.guidance_scale) for prompt in prompts]
        if any(row.known is None for row in rows):
            raise ValueError(f"task {task} paints nothing; there are no known pixels to compare")
        made = self.generate_batch(
            task,
            [prompt for prompt in prompts for _ in range(tries)],
            seed=[first + own for first in seed for own in range(tries)],
            sampling=sampling,
            batch_size=batch_size,
            progress=progress,
            composite=False,
        )
        chosen = []
        for number, row in enumerate(rows):
            assert row.given is not None and row.known is not None
            clip = nearest_known(made[number * tries : (number + 1) * tries], row.given, row.known)
            chosen.append(composited(clip, row.given, row.known) if composite else clip)
        return chosen

    def stream(
        self,
        task: str,
        prompt: Prompt,
        *,
        seed: int = 0,
        sampling: Sampling | None = None,
        composite: bool = True,
    ) -> ClipStream:
        """The clip of a prompt in parts, each as soon as its codes are there: iterate over the result.

        Raises:
            ValueError: as `generate`, and if the task makes no frames.
        """
        definition, settings = self.config.task(task), self.settings(task, sampling)
        row = self.rows.row(definition, prompt, settings.guidance_scale)
        generator = torch.Generator(self.device).manual_seed(seed)
        batch, unconditional = _batches([row], settings)
        generation = Generation(self.lm, batch, settings, [generator], unconditional)
        return ClipStream(
            definition,
            row,
            generation,
            tokenizer=self.video_tokenizer,
            decode=self.decode,
            fps=self.clips.fps,
            caption=prompt.text,
            composite=composite,
        )

    def encode(self, clip: Clip) -> Codes:
        """Codes of a clip: "visual" (t h w) and, if clip and model have sound, "audio" (levels frames).

        Raises:
            ValueError: if the clip has a size or frame rate that the model has not, or a length that the
                tokenizer does not take.
        """
        frame = (clip.height, clip.width, clip.fps)
        formats = [each for each in self.config.formats if (each.height, each.width, each.fps) == frame]
        if not formats:
            wanted = dict.fromkeys(f"{each.height}x{each.width}" for each in self.config.formats)
            raise ValueError(
                f"clip is {clip.height}x{clip.width} at {clip.fps:g} fps; expected "
                f"{' or '.join(wanted)} at {self.clips.fps:g} fps (Clip.resized, Clip.at_fps)"
            )
        clips = next((each for each in formats if each.num_frames == clip.num_frames), formats[0])
        codes = {"visual": self._visual_codes(clip)}
        if self.audio_tokenizer is not None and clip.waveform is not None:
            codes["audio"] = self._audio_codes(clip, clips.audio_frames)
        return codes

    def decode(self, codes: Codes) -> Clip:
        """The clip of "visual" or "audio" codes or both; sound alone comes with black frames."""
        return self.decode_batch([codes])[0]

    @torch.inference_mode()
    def decode_batch(self, codes: Sequence[Codes]) -> list[Clip]:
        """As `decode`, for codes of the same shapes."""
        held = {name: torch.stack([each[name] for each in codes]).to(self.device) for name in codes[0]}
        if "visual" in held:
            frames = frames_from_pixels(self.video_tokenizer.decode(held["visual"])).cpu()
        else:
            latents = held["audio"].shape[-1]
            lasting = (each for each in self.config.formats if each.audio_frames == latents)
            clips = next(lasting, self.clips)
            shape = (len(codes), clips.num_frames, clips.height, clips.width, 3)
            frames = torch.zeros(shape, dtype=torch.uint8)
        if "audio" not in held:
            return [Clip(each, self.clips.fps) for each in frames]
        assert self.audio_tokenizer is not None
        sounds = self.audio_tokenizer.decode(held["audio"]).float().cpu()
        samples = audio_samples(frames.shape[1], self.clips.fps, self.clips.sample_rate)
        clips = [
            Clip(each, self.clips.fps, sound, self.clips.sample_rate)
            for each, sound in zip(frames, sounds, strict=True)
        ]
        return [replace(clip, waveform=clip.sound(samples)) for clip in clips]

    @torch.inference_mode()
    def _visual_codes(self, clip: Clip) -> Tensor:
        pixels = pixels_from_frames(clip.frames[None].to(self.device))
        return self.video_tokenizer.encode(pixels)[0].cpu()

    @torch.inference_mode()
    def _audio_codes(self, clip: Clip, latents: int) -> Tensor:
        assert self.audio_tokenizer is not None
        # Whole hops only, cut before encoding (data/media/timing.py says why).
        samples = latents * self.clips.hop_length
        waveform = clip.resampled(self.clips.sample_rate, channels=1).sound(samples)
        return self.audio_tokenizer.encode(waveform[None].to(self.device))[0].cpu()

    def _codes(
        self,
        rows: Sequence[Row],
        settings: DrawSettings,
        generators: list[torch.Generator],
        progress: Callable[[int, int], None] | None,
    ) -> list[Codes]:
        batch, unconditional = _batches(rows, settings)
        ids = generate_ids(self.lm, batch, settings, generators, unconditional, progress).cpu()
        return [row.layout.unpack(own[: len(row.layout)]) for row, own in zip(rows, ids, strict=True)]


def _batches(rows: Sequence[Row], settings: DrawSettings) -> tuple[Batch, Batch | None]:
    """The rows to generate and, with guidance, those that it leads away from."""
    batch = Batch.collate([row.layout.blank(row.parts) for row in rows])
    if settings.guidance_scale == 1:
        return batch, None
    return batch, Batch.collate([layout.blank(parts) for layout, parts in (row.unguided for row in rows)])


def _part(
    progress: Callable[[float], None] | None, before: int, count: int
) -> Callable[[int, int], None] | None:
    """Report positions of a batch as clips done."""
    if progress is None:
        return None
    return lambda sampled, total: progress(before + count * sampled / total)
