"""Clips to codes and back, by the tokenizers of one model."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from ..data.media.clip import Clip
from ..data.media.pixels import frames_from_pixels, pixels_from_frames
from ..data.media.timing import audio_samples, video_frames
from ..tasks.model_config import ModelConfig
from ..tokenizers.audio.protocol import AudioCodec
from ..tokenizers.video.clip_codes import ClipCodes
from ..tokenizers.video.protocol import VideoCodec

Codes = dict[str, Tensor]
"""By kind: "visual" (t h w), "audio" (levels frames)."""


class ClipCodec:
    """The tokenizers of a model, at the sizes and rates that it was trained on.

    Args:
        audio_tokenizer: None for a model without sound, or one that is to make none.
        device: that the tokenizers are on.
    """

    def __init__(
        self,
        config: ModelConfig,
        video_tokenizer: VideoCodec,
        audio_tokenizer: AudioCodec | None,
        device: torch.device,
    ):
        self.config, self.device = config, device
        self.video_tokenizer = video_tokenizer.eval()
        self.audio_tokenizer = audio_tokenizer.eval() if audio_tokenizer is not None else None

    def to(self, device: torch.device) -> None:
        """Move both tokenizers."""
        self.video_tokenizer.to(device)
        if self.audio_tokenizer is not None:
            self.audio_tokenizer.to(device)
        self.device = device

    def encode(self, clip: Clip) -> Codes:
        """Codes of a clip: "visual" and, if clip and model have sound, "audio".

        Raises:
            ValueError: if the clip has a size or frame rate that the model has not, or a length that the
                tokenizer does not take.
        """
        frame = (clip.height, clip.width, clip.fps)
        formats = [each for each in self.config.formats if (each.height, each.width, each.fps) == frame]
        usual = self.config.clips
        if not formats:
            wanted = dict.fromkeys(f"{each.height}x{each.width}" for each in self.config.formats)
            raise ValueError(
                f"clip is {clip.height}x{clip.width} at {clip.fps:g} fps; expected "
                f"{' or '.join(wanted)} at {usual.fps:g} fps (Clip.resized, Clip.at_fps)"
            )
        clips = next((each for each in formats if each.num_frames == clip.num_frames), formats[0])
        codes = {"visual": self.visual_codes(clip)}
        if self.audio_tokenizer is not None and clip.waveform is not None:
            codes["audio"] = self.audio_codes(clip, clips.audio_frames)
        return codes

    @torch.no_grad()
    def decode(self, codes: Sequence[Codes]) -> list[Clip]:
        """Clips of codes; sound alone comes with black frames.

        One after the other: convolutions over a batch round otherwise than over one clip, and a pixel would
        differ by 1 of 255 now and then with what it is decoded beside. On a CPU a clip of the demo takes
        16 ms so, in place of 12 ms in a batch of 16; choosing its codes takes many times as long.
        """
        return [self._decoded(each) for each in codes]

    def _decoded(self, codes: Codes) -> Clip:
        held = {name: value[None].to(self.device) for name, value in codes.items()}
        usual = self.config.clips
        if "visual" in held:
            frames = frames_from_pixels(self.video_tokenizer.decode(held["visual"]))[0].cpu()
        else:
            latents = held["audio"].shape[-1]
            lasting = (each for each in self.config.formats if each.audio_frames == latents)
            clips = next(lasting, usual)
            frames = torch.zeros((clips.num_frames, clips.height, clips.width, 3), dtype=torch.uint8)
        if "audio" not in held:
            return Clip(frames, usual.fps)
        sound = self.audio_codec.decode(held["audio"])[0].float().cpu()
        clip = Clip(frames, usual.fps, sound, usual.sample_rate)
        samples = audio_samples(clip.num_frames, usual.fps, usual.sample_rate)
        return replace(clip, waveform=clip.sound(samples))

    def clip_codes(self, visual: Int[Tensor, "t h w"]) -> ClipCodes:
        """Codes of frames, with what they are of."""
        t, h, w = visual.shape
        tokenizer = self.video_tokenizer
        return ClipCodes(
            visual.cpu(),
            num_frames=video_frames(t, tokenizer.temporal_stride),
            height=h * tokenizer.spatial_stride,
            width=w * tokenizer.spatial_stride,
            fps=self.config.clips.fps,
            codebook_size=tokenizer.codebook_size,
            fingerprint=tokenizer.fingerprint,
        )

    @torch.no_grad()
    def visual_codes(self, clip: Clip) -> Int[Tensor, "t h w"]:
        """Codes of a clip's frames."""
        pixels = pixels_from_frames(clip.frames[None].to(self.device))
        return self.video_tokenizer.encode(pixels)[0].cpu()

    @torch.no_grad()
    def audio_codes(self, clip: Clip, latents: int) -> Int[Tensor, "levels {latents}"]:
        """Codes of a clip's sound, so many latents of it."""
        # Whole hops only, cut before encoding (data/media/timing.py says why).
        samples = latents * self.config.clips.hop_length
        waveform = clip.resampled(self.config.clips.sample_rate, channels=1).sound(samples)
        return self.audio_codec.encode(waveform[None].to(self.device))[0].cpu()

    @property
    def audio_codec(self) -> AudioCodec:
        """The audio tokenizer, for those who cannot do without.

        Raises:
            ValueError: if there is none.
        """
        if self.audio_tokenizer is None:
            raise ValueError("the model has no audio tokenizer, or was loaded for tasks without sound only")
        return self.audio_tokenizer
