"""Prompts as the language model reads them: layouts, the given codes, and media to put into the result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..data.codes.clip_format import ClipFormat
from ..data.media.clip import Clip
from ..data.media.timing import video_latents
from ..lm.decoding.sampling import DrawSettings
from ..lm.vocabulary import Vocabulary
from ..tasks.clip_size import SizeChoice
from ..tasks.conditions import Material
from ..tasks.layout import Layout
from ..tasks.masks import Mask
from ..tasks.model_config import ModelConfig
from ..tasks.spans import Lengths
from ..tasks.task import Task
from ..tokenizers.text.frozen_encoder import TextEncoder
from ..tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from .clip_codec import ClipCodec, Codes
from .prompt import Prompt, fitted_image, fitted_mask, fitted_sound, fitted_video, given_frames, whole_video
from .prompt_text import PromptReader, TextNotes


@dataclass(frozen=True, eq=False)
class Row:
    """One prompt, ready.

    Args:
        clips: the size of the clip that is to come.
        unguided: layout and codes of the row that guidance leads away from.
        given: the clip that the result goes on from, or keeps the frames or the sound of.
        known: of painting: the pixels of `given` to put back into the result.
    """

    layout: Layout
    clips: ClipFormat
    parts: Codes
    unguided: tuple[Layout, Codes]
    given: Clip | None = None
    known: Mask | None = None


class RowMaker:
    """Prompts to rows, for one model."""

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: Vocabulary,
        text_tokenizer: TextTokenizer | TextEncoder | None,
        codec: ClipCodec,
    ):
        self.config, self.codec, self.vocabulary = config, codec, vocabulary
        self.pieces = PromptReader(text_tokenizer, config.text_pieces)

    def rows(self, task: Task, prompts: Sequence[Prompt], guidance_scales: Sequence[float]) -> list[Row]:
        """What the model reads for each prompt; a prompt that stands there several times is read once.

        One warning says what of the texts is not read.

        Args:
            guidance_scales: of each prompt.

        Raises:
            ValueError: if the task cannot use a prompt, or the model has no clips of the wanted size.
        """
        notes, rows = TextNotes(), {}
        for prompt, guidance_scale in zip(prompts, guidance_scales, strict=True):
            if id(prompt) not in rows:
                rows[id(prompt)] = self._row(task, prompt, guidance_scale, notes)
        notes.say(self.config.text_pieces)
        return [rows[id(prompt)] for prompt in prompts]

    def row(self, task: Task, prompt: Prompt, guidance_scale: float) -> Row:
        """As `rows`, for one prompt."""
        return self.rows(task, [prompt], [guidance_scale])[0]

    def _row(self, task: Task, prompt: Prompt, guidance_scale: float, notes: TextNotes) -> Row:
        prompt.check(task, guidance_scale)
        clips = (prompt.size or SizeChoice()).of(self.config.formats, task)
        lengths = self.config.lengths_of(clips)
        if task.has_given:
            lengths, parts, given, known = self._continued(task, prompt, clips, lengths)
        elif task.conditions is not None:
            parts, given, known = self._conditioned(task, prompt, clips)
        else:
            parts, given, known = *self._whole(prompt, clips), None
        text = prompt.expanded or prompt.text
        pieces = None if text is None else self.pieces(text, notes)
        layout, with_text = self._with_text(task, lengths, parts, pieces)
        # A negative text that says nothing to the model is the empty one.
        away = None if prompt.negative is None else self.pieces.read(prompt.negative, notes)
        unguided = self._with_text(task, lengths, parts, away)
        return Row(layout, clips, with_text, unguided, given, known)

    def _whole(self, prompt: Prompt, clips: ClipFormat) -> tuple[Codes, Clip | None]:
        """An image, a video or a sound as it is."""
        parts: Codes = {}
        given: Clip | None = None
        if prompt.image is not None:
            given = fitted_image(prompt.image, clips)
        elif prompt.video is not None:
            given = fitted_video(prompt.video, clips, clips.num_frames, sound=False)
        if given is not None:
            parts["visual"] = self.codec.visual_codes(given)
        if prompt.audio is not None:
            sounding = fitted_sound(prompt.audio, clips)
            parts["audio"] = self.codec.audio_codes(sounding, clips.audio_frames)
            given = given or sounding
        return parts, given

    def _continued(
        self, task: Task, prompt: Prompt, clips: ClipFormat, lengths: Lengths
    ) -> tuple[Lengths, Codes, Clip, Mask | None]:
        """The beginning of a clip, with its sound if the task goes on with that."""
        assert prompt.video is not None
        has_sound = any(portion.kind == "audio" for portion in task.inputs)
        given = given_frames(prompt.video, clips, sound=has_sound)
        lengths = replace(lengths, given=video_latents(given.num_frames, clips.temporal_stride))
        parts = {"visual": self.codec.visual_codes(given)}
        if has_sound:
            if given.waveform is None:
                raise ValueError(f"task {task.name} takes a video with sound; the one given has none")
            parts["audio"] = self.codec.audio_codes(given, lengths.given_audio)
        return lengths, parts, given, None

    def _conditioned(
        self, task: Task, prompt: Prompt, clips: ClipFormat
    ) -> tuple[Codes, Clip | None, Mask | None]:
        """Variants of a video, and a first frame if the task takes one."""
        assert prompt.video is not None and task.conditions is not None
        if task.widens and prompt.size is not None and prompt.size.aspect is not None:
            video, inside = whole_video(prompt.video, clips)
        else:
            video, inside = fitted_video(prompt.video, clips, clips.num_frames), None
        mask = fitted_mask(prompt.mask, video) if prompt.mask is not None else inside
        if mask is not None and inside is not None:
            mask = mask & inside
        variants = task.conditions(Material(video, prompt.geometry, mask), None)
        clips_of = {name: replace(video, frames=variants[name].frames) for name in task.variants}
        parts = {name: self.codec.visual_codes(clip) for name, clip in clips_of.items()}
        if prompt.image is not None:
            parts["visual"] = self.codec.visual_codes(fitted_image(prompt.image, clips))
        known = next((each.known for each in variants.values() if each.known is not None), None)
        return parts, video if known is not None else None, known

    def _with_text(
        self, task: Task, lengths: Lengths, parts: Codes, pieces: Tensor | None
    ) -> tuple[Layout, Codes]:
        if pieces is not None and len(pieces):
            lengths = replace(lengths, text=len(pieces))
            parts = parts | {"text": pieces}
        return Layout.of(task, self.vocabulary, lengths), parts


def with_given(made: Clip, row: Row, task: Task, composite: bool) -> Clip:
    """The decoded clip with what was given in its place: frames, sound, known pixels."""
    given, outputs = row.given, {portion.kind for portion in task.outputs}
    if given is None:
        return made
    if row.known is not None:
        sounding = replace(made, waveform=given.waveform, sample_rate=given.sample_rate)
        return composited(sounding, given, row.known) if composite else sounding
    if outputs == {"audio"}:
        return replace(given, waveform=made.waveform, sample_rate=made.sample_rate)
    if "audio" in task.needs:
        return replace(made, waveform=given.waveform, sample_rate=given.sample_rate)
    return replace(made, frames=torch.cat([given.frames, made.frames[given.num_frames :]]))


def composited(made: Clip, given: Clip, known: Mask) -> Clip:
    """The made clip with the known pixels of the given one."""
    return replace(made, frames=torch.where(known[..., None], given.frames, made.frames))


def alike(rows: Sequence[Row], settings: Sequence[DrawSettings], batch_size: int) -> list[list[int]]:
    """Indices of rows whose outputs have the same layout and are drawn in the same way, in batches."""
    groups: dict[tuple[str, int, int, DrawSettings], list[int]] = {}
    for index, (row, how) in enumerate(zip(rows, settings, strict=True)):
        generated = len(row.layout) - row.layout.prefix_length
        key = (row.clips.name, generated, row.layout.lengths.given_latents, how)
        groups.setdefault(key, []).append(index)
    return [
        group[start : start + batch_size]
        for group in groups.values()
        for start in range(0, len(group), batch_size)
    ]
