"""Clips to codes: with the frozen tokenizers of a model folder, kept in memory or written as shards.

videolm encode SOURCE --model runs/mine/model --out runs/mine/shards
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from ...data.analysis.geometry import Geometry
from ...data.codes.clip_format import ClipFormat
from ...data.codes.shards import CodedClip
from ...data.environments.action_space import ActionSpace
from ...data.loading.reading import Reading
from ...data.media.clip import Clip
from ...data.media.pixels import pixels_from_frames
from ...data.media.timing import audio_latents
from ...tokenizers.audio.protocol import AudioCodec, load_audio_tokenizer
from ...tokenizers.video.clip_codes import encode_clip
from ...tokenizers.video.protocol import VideoCodec, load_video_tokenizer
from ..conditions import Conditions, Material, Variant, seeded, settings_of
from ..task import Task
from .low_codes import LOW, LowEncoder

_FRAMES_AT_ONCE = 64  # of an episode


class ClipEncoder:
    """Tokenizers and the one size of clips that they code.

    Args:
        tasks: those whose variants of a clip are coded beside it (conditions.py).
        geometry: how flow and depth are known of clips that do not bring them.
        low: codes smaller clips beside these, for super-resolution.
        actions: what the actions of clips mean, which are then episodes of any length; the size's num_frames
            is that of the window that a model is to be trained on.

    Raises:
        ValueError: if the video tokenizer does not take this size, or the actions are of another rate than
            `fps` or come with tasks or super-resolution.
    """

    def __init__(
        self,
        video: VideoCodec,
        audio: AudioCodec | None,
        *,
        height: int,
        width: int,
        num_frames: int,
        fps: float,
        tasks: Sequence[Task] = (),
        geometry: Geometry | None = None,
        low: LowEncoder | None = None,
        actions: ActionSpace | None = None,
    ):
        self.low, self.actions = low, actions
        self.conditions: dict[str, Conditions] = {
            name: task.conditions for task in tasks if task.conditions for name in task.variants
        }
        self.geometry = geometry
        self.video = video.eval().requires_grad_(False)
        self.audio = audio.eval().requires_grad_(False) if audio is not None else None
        self.clips = self._format(height, width, num_frames, fps)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        height: int,
        width: int,
        num_frames: int,
        fps: float,
        tasks: Sequence[Task] = (),
        geometry: Geometry | None = None,
        super_resolution: int | None = None,
        large: str | Path | None = None,
        actions: ActionSpace | None = None,
    ) -> "ClipEncoder":
        """The tokenizers of a model folder; without an audio_tokenizer there, codes have no sound.

        Args:
            super_resolution: code beside the clips smaller ones of this part of their height and width.
            large: of these a folder that has the video tokenizer of the clips themselves; with the model's
                the smaller ones are coded.
            actions: as of the class.

        Raises:
            FileNotFoundError: if there is no video tokenizer.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"no model folder {folder}; train a tokenizer first (videolm tokenizer fit)"
            )
        has_audio = (folder / "audio_tokenizer").is_dir()
        video = load_video_tokenizer(folder / "video_tokenizer")
        return cls(
            video if large is None else load_video_tokenizer(large),
            load_audio_tokenizer(folder / "audio_tokenizer") if has_audio else None,
            height=height,
            width=width,
            num_frames=num_frames,
            fps=fps,
            tasks=tasks,
            geometry=geometry,
            low=None if super_resolution is None else LowEncoder(video, super_resolution),
            actions=actions,
        )

    def of_size(self, *, num_frames: int, height: int, width: int) -> "ClipEncoder":
        """The same tokenizers and conditions for clips of another size.

        Raises:
            ValueError: if the video tokenizer does not take this size.
        """
        other = copy(self)
        other.clips = self._format(height, width, num_frames, self.clips.fps)
        return other

    def to(self, device: torch.device | str) -> "ClipEncoder":
        self.video.to(device)
        if self.audio is not None:
            self.audio.to(device)
        if self.low is not None:
            self.low.to(device)
        return self

    @torch.no_grad()
    def encode(self, clips: Sequence[Clip]) -> list[dict[str, Tensor]]:
        """Codes of clips of the right size: "visual", "low" for super-resolution, and "audio" where a clip
        has sound.

        A muted track, all of whose samples are zero, counts as none: no task is to learn silence from it.
        """
        device = next(self.video.parameters()).device
        codes = [{"visual": each} for each in self._visual_codes([clip.frames for clip in clips])]
        if self.low is not None:
            for held, low in zip(codes, self.low.encode(clips), strict=True):
                held[LOW] = low
        sounding = [
            index for index, clip in enumerate(clips) if clip.waveform is not None and clip.waveform.any()
        ]
        if self.audio is not None and sounding:
            audio = self._audio_codes([clips[index] for index in sounding], self.clips.audio_frames, device)
            for index, each in zip(sounding, audio, strict=True):
                codes[index]["audio"] = each.clone()
        return codes

    @torch.no_grad()
    def encode_episode(self, clip: Clip) -> dict[str, Tensor]:
        """Codes of a clip of any number of whole latents, in pieces: "visual", and "audio" if it has sound.

        They are those of the clip as a whole, so that later latents know what came before them; memory does
        not grow with its length but for the codes.
        """
        codes = {"visual": encode_clip(self.video, clip, _FRAMES_AT_ONCE).codes}
        if self.audio is not None and clip.waveform is not None and clip.waveform.any():
            frames = audio_latents(clip.num_frames, clip.fps, self.audio.sample_rate, self.audio.hop_length)
            device = next(self.video.parameters()).device
            codes["audio"] = self._audio_codes([clip], frames, device)[0]
        return codes

    @torch.no_grad()
    def encode_variants(self, materials: Sequence[Material], names: Sequence[str]) -> list[dict[str, Tensor]]:
        """Codes of the variants of clips; what is drawn for one follows from its name.

        Raises:
            ValueError: if a clip lacks what a variant is made from.
        """
        codes: list[dict[str, Tensor]] = [{} for _ in materials]
        for variant, conditions in self.conditions.items():
            made = [
                self._variant(conditions, variant, material, name).frames
                for material, name in zip(materials, names, strict=True)
            ]
            for held, each in zip(codes, self._visual_codes(made), strict=True):
                held[variant] = each
        return codes

    def _format(self, height: int, width: int, num_frames: int, fps: float) -> ClipFormat:
        variants = {name: settings_of(each) for name, each in self.conditions.items()}
        if self.low is not None:
            variants[LOW] = self.low.format(num_frames, height, width).to_json()
        sound = {}
        if self.audio is not None:
            rate, hop = self.audio.sample_rate, self.audio.hop_length
            sound = {
                "codebook_sizes": tuple(self.audio.codebook_sizes),
                "audio_frames": audio_latents(num_frames, fps, rate, hop),
                "sample_rate": rate,
                "hop_length": hop,
                "audio_tokenizer": self.audio.fingerprint,
            }
        return ClipFormat(
            height=height,
            width=width,
            num_frames=num_frames,
            fps=fps,
            grid=self.video.grid(num_frames, height, width),
            temporal_stride=self.video.temporal_stride,
            factors=tuple(self.video.factors),
            video_tokenizer=self.video.fingerprint,
            variants=variants,
            actions={} if self.actions is None else self.actions.to_json(),
            **sound,
        )

    def _variant(self, conditions: Conditions, variant: str, material: Material, name: str) -> Variant:
        if material.geometry is None:
            material = replace(material, geometry=self.geometry)
        return conditions(material, seeded(name, variant))[variant]

    def _visual_codes(self, frames: Sequence[Tensor]) -> list[Int[Tensor, "t h w"]]:
        device = next(self.video.parameters()).device
        codes = self.video.encode(pixels_from_frames(torch.stack(list(frames)).to(device))).cpu()
        return [each.clone() for each in codes]

    def _audio_codes(
        self, clips: Sequence[Clip], frames: int, device: torch.device
    ) -> Int[Tensor, "batch levels frames"]:
        assert self.audio is not None
        # Whole hops, cut before encoding: a codec rounds up (data/media/timing.py).
        samples = frames * self.audio.hop_length
        sound = torch.stack([clip.sound(samples).mean(0, keepdim=True) for clip in clips])
        return self.audio.encode(sound.to(device)).cpu()


def windows_of(reading: Reading) -> list[tuple[Reading, int]]:
    """The clips of a reading, each as the reading and its number there."""
    return [(reading, number) for number in range(len(reading.clips))]


def encode_windows(encoder: ClipEncoder, windows: Sequence[tuple[Reading, int]]) -> list[CodedClip]:
    """The coded clips of some windows, which all go through the tokenizers together."""
    if not windows:
        return []
    if encoder.actions is not None:
        return [_encoded_episode(encoder, reading) for reading, _ in windows]
    clips = [reading.clips[number] for reading, number in windows]
    materials = [Material(reading.clips[number], reading.geometry) for reading, number in windows]
    names = [f"{reading.name} {reading.first + number}" for reading, number in windows]
    whole = encoder.encode(clips)
    altered = encoder.encode_variants(materials, names)
    return [
        CodedClip(codes | variants, reading.captions, reading.name, reading.extra or {}, reading.path)
        for codes, variants, (reading, _) in zip(whole, altered, windows, strict=True)
    ]


def _encoded_episode(encoder: ClipEncoder, reading: Reading) -> CodedClip:
    """The one clip of a reading with its actions and outcomes."""
    codes = encoder.encode_episode(reading.clips[0]) | reading.codes
    return CodedClip(codes, reading.captions, reading.name, reading.extra or {}, reading.path)
