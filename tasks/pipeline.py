"""VideoLM: a trained model in one object.

    model = VideoLM.from_pretrained("runs/demo/model")
    clip = model.generate("text_to_video", text="a red square moves right", guidance_scale=3.0, seed=0)
    clip.save("out.mp4")

A model folder holds config.json (sizes and tasks), vocabulary.json, lm/, video_tokenizer/ and, where its
tasks need them, text_tokenizer/ and audio_tokenizer/.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..data.clip import Clip
from ..data.clip_format import ClipFormat
from ..data.pixels import frames_from_pixels, pixels_from_frames
from ..data.timing import audio_samples, video_latents
from ..lm.batch import Batch
from ..lm.generate import generate as generate_ids
from ..lm.sampling import Sampling
from ..lm.transformer import PrefixLM
from ..lm.vocabulary import Vocabulary
from ..tokenizers.audio_protocol import AudioCodec, load_audio_tokenizer
from ..tokenizers.protocol import VideoCodec, load_video_tokenizer
from ..tokenizers.text import TextTokenizer
from .examples import MAX_TEXT
from .layout import Layout
from .model_folder import ModelConfig
from .prompt import Given, Prompt, fitted_image, fitted_sound, fitted_video, given_frames
from .spans import Lengths
from .task import Task

Codes = dict[str, Tensor]


@dataclass(frozen=True)
class _Row:
    """One prompt, ready: its layout, the codes in it, and the clip that the result goes on from."""

    layout: Layout
    parts: Codes
    unguided: tuple[Layout, Codes]
    given: Clip | None


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
        text_tokenizer: TextTokenizer | None = None,
    ):
        config.check_tokenizers(video_tokenizer, audio_tokenizer, text_tokenizer)
        self.config = config
        self.vocabulary = vocabulary
        self.lm = lm.eval()
        self.video_tokenizer = video_tokenizer.eval()
        self.audio_tokenizer = audio_tokenizer.eval() if audio_tokenizer is not None else None
        self.text_tokenizer = text_tokenizer

    @property
    def clips(self) -> ClipFormat:
        """Sizes of the clips that the model makes."""
        return self.config.clips

    @property
    def device(self) -> torch.device:
        return next(self.lm.parameters()).device

    def to(self, device: torch.device | str) -> "VideoLM":
        for module in (self.lm, self.video_tokenizer, self.audio_tokenizer):
            if module is not None:
                module.to(device)
        return self

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "VideoLM":
        """Load a model folder.

        Raises:
            FileNotFoundError: if the folder or a part of it is missing.
            ValueError: if a part does not fit the others.
        """
        folder = Path(folder)
        config = ModelConfig.load(folder)
        vocabulary = Vocabulary.load(folder / "vocabulary.json")
        return cls(
            config,
            vocabulary,
            PrefixLM.from_pretrained(folder / "lm", vocabulary),
            load_video_tokenizer(folder / "video_tokenizer"),
            load_audio_tokenizer(folder / "audio_tokenizer") if config.clips.has_audio else None,
            TextTokenizer.from_pretrained(folder / "text_tokenizer") if config.text_tokenizer else None,
        )

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

    def generate(
        self,
        task: str,
        *,
        text: str | None = None,
        negative: str | None = None,
        image: Given | None = None,
        video: Given | None = None,
        audio: Given | None = None,
        seed: int = 0,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        guidance_scale: float = 1.0,
        num_samples: int | None = None,
    ) -> Clip | list[Clip]:
        """Generate one clip, or a list of `num_samples` with the seeds seed, seed + 1, …

        Given media are brought to the model's size, rate and length; a warning says what was changed.

        Args:
            task: one of `config.tasks`; `Prompt` says what each input is.
            temperature: below 1 likelier, above 1 more varied.
            top_k: sample from the k likeliest codes only.
            top_p: sample from the likeliest codes that together have this probability.
            guidance_scale: 1 is off; above, the text is followed more closely, away from `negative`.

        Raises:
            ValueError: if the task is not one of the model's, lacks an input or cannot use one.
        """
        prompt = Prompt(text=text, negative=negative, image=image, video=video, audio=audio)
        clips = self.generate_batch(
            task,
            [prompt] * (num_samples or 1),
            seed=seed,
            sampling=Sampling(temperature, top_k, top_p, guidance_scale),
        )
        return clips if num_samples is not None else clips[0]

    @torch.inference_mode()
    def generate_batch(
        self,
        task: str,
        prompts: Sequence[Prompt],
        *,
        seed: int = 0,
        sampling: Sampling | None = None,
        batch_size: int = 32,
        progress: Callable[[float], None] | None = None,
    ) -> list[Clip]:
        """One clip for each prompt; prompt i is sampled with seed + i, whatever the batch size.

        Args:
            progress: called with the number of clips done, counting parts of clips.

        Raises:
            ValueError: as `generate`.
        """
        sampling = sampling or Sampling()
        definition = self.config.task(task)
        clips: dict[int, Clip] = {}
        rows = [self._row(definition, prompt, sampling.guidance_scale) for prompt in prompts]
        for indices in _alike(rows, batch_size):
            group = [rows[index] for index in indices]
            report = _part(progress, len(clips), len(group))
            generators = [torch.Generator(self.device).manual_seed(seed + index) for index in indices]
            made = self._clips(definition, group, self._codes(group, sampling, generators, report))
            clips.update(zip(indices, made, strict=True))
        return [replace(clips[index], caption=prompt.text) for index, prompt in enumerate(prompts)]

    def encode(self, clip: Clip) -> Codes:
        """Codes of a clip: "visual" (t h w) and, if clip and model have sound, "audio" (levels frames).

        Raises:
            ValueError: if the clip has another size or frame rate than the model, or a length that the
                tokenizer does not take.
        """
        wanted = (self.clips.height, self.clips.width, self.clips.fps)
        if (clip.height, clip.width, clip.fps) != wanted:
            raise ValueError(
                f"clip is {clip.height}x{clip.width} at {clip.fps:g} fps; expected "
                f"{wanted[0]}x{wanted[1]} at {wanted[2]:g} fps (Clip.resized, Clip.at_fps)"
            )
        codes = {"visual": self._visual_codes(clip)}
        if self.audio_tokenizer is not None and clip.waveform is not None:
            codes["audio"] = self._audio_codes(clip)
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
            shape = (len(codes), self.clips.num_frames, self.clips.height, self.clips.width, 3)
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
    def _audio_codes(self, clip: Clip) -> Tensor:
        assert self.audio_tokenizer is not None
        # Whole hops only, cut before encoding (data/timing.py says why).
        samples = self.clips.audio_frames * self.clips.hop_length
        waveform = clip.resampled(self.clips.sample_rate, channels=1).sound(samples)
        return self.audio_tokenizer.encode(waveform[None].to(self.device))[0].cpu()

    def _row(self, task: Task, prompt: Prompt, guidance_scale: float) -> _Row:
        prompt.check(task, guidance_scale)
        parts: Codes = {}
        given: Clip | None = None
        lengths = self.config.lengths
        if prompt.image is not None:
            given = fitted_image(prompt.image, self.clips)
        elif prompt.video is not None and task.has_given:
            given = given_frames(prompt.video, self.clips)
            latents = video_latents(given.num_frames, self.clips.temporal_stride)
            lengths = replace(lengths, given=latents)
        elif prompt.video is not None:
            given = fitted_video(prompt.video, self.clips, self.clips.num_frames)
        if given is not None:
            parts["visual"] = self._visual_codes(given)
        if prompt.audio is not None:
            sounding = fitted_sound(prompt.audio, self.clips)
            parts["audio"] = self._audio_codes(sounding)
            given = given or sounding
        layout, parts_with_text = self._with_text(task, lengths, parts, prompt.text)
        unguided = self._with_text(task, lengths, parts, prompt.negative)
        return _Row(layout, parts_with_text, unguided, given)

    def _with_text(
        self, task: Task, lengths: Lengths, parts: Codes, text: str | None
    ) -> tuple[Layout, Codes]:
        if text is not None:
            if self.text_tokenizer is None:
                raise ValueError("this model was trained without captions; it takes no text")
            pieces = self.text_tokenizer.encode(text)
            if not 1 <= len(pieces) <= MAX_TEXT:
                raise ValueError(
                    f"the text has {len(pieces)} pieces; expected 1 to {MAX_TEXT}: {text[:60]!r}"
                )
            lengths = replace(lengths, text=len(pieces))
            parts = parts | {"text": torch.tensor(pieces)}
        return Layout.of(task, self.vocabulary, lengths), parts

    def _codes(
        self,
        rows: Sequence[_Row],
        sampling: Sampling,
        generators: list[torch.Generator],
        progress: Callable[[int, int], None] | None,
    ) -> list[Codes]:
        def batch(sources: list[tuple[Layout, Codes]]) -> Batch:
            return Batch.collate([layout.blank(parts) for layout, parts in sources]).to(self.device)

        guided = sampling.guidance_scale != 1
        unconditional = batch([row.unguided for row in rows]) if guided else None
        prompts = batch([(row.layout, row.parts) for row in rows])
        ids = generate_ids(self.lm, prompts, sampling, generators, unconditional, progress).cpu()
        return [row.layout.unpack(own[: len(row.layout)]) for row, own in zip(rows, ids, strict=True)]

    def _clips(self, task: Task, rows: Sequence[_Row], codes: Sequence[Codes]) -> list[Clip]:
        """Decoded codes, with what was given in its place: its frames, or its sound."""
        kinds = {portion.kind for portion in task.outputs}
        made = self.decode_batch([{name: each[name] for name in each if name in kinds} for each in codes])
        return [_with_given(clip, row.given, kinds, task) for clip, row in zip(made, rows, strict=True)]


def _with_given(made: Clip, given: Clip | None, kinds: set[str], task: Task) -> Clip:
    if given is None:
        return made
    if kinds == {"audio"}:
        return replace(given, waveform=made.waveform, sample_rate=made.sample_rate)
    if "audio" in task.needs:
        return replace(made, waveform=given.waveform, sample_rate=given.sample_rate)
    return replace(made, frames=torch.cat([given.frames, made.frames[given.num_frames :]]))


def _alike(rows: Sequence[_Row], batch_size: int) -> list[list[int]]:
    """Indices of rows whose outputs have the same layout, in batches."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, row in enumerate(rows):
        key = (len(row.layout) - row.layout.prefix_length, row.layout.lengths.given_latents)
        groups.setdefault(key, []).append(index)
    return [
        group[start : start + batch_size]
        for group in groups.values()
        for start in range(0, len(group), batch_size)
    ]


def _part(
    progress: Callable[[float], None] | None, before: int, count: int
) -> Callable[[int, int], None] | None:
    """Report positions of a batch as clips done."""
    if progress is None:
        return None
    return lambda sampled, total: progress(before + count * sampled / total)
