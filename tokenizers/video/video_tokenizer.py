"""The video tokenizer: clips to a grid of codes and back.

    pixels (batch 3 frames height width) -> encoder -> norm -> quantizer -> codes (batch t h w)
    t = 1 + (frames - 1) / temporal_stride, h = height / spatial_stride, w = width / spatial_stride

The first frame is coded alone, so an image is a clip of one frame, and a code never depends on later
frames (Yu et al. 2023, arXiv:2310.05737, section 3.2).
"""

from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...data.codes.trained_clips import TrainedClips
from ...data.runtime.pretrained import PretrainedMixin
from .causal_conv import Memory
from .compact import CompactDecoder, CompactEncoder
from .config import VideoTokenizerConfig
from .magvit2 import Magvit2Decoder, Magvit2Encoder
from .protocol import check_codes, code_grid
from .quantizers import build_quantizer
from .vit import VitDecoder, VitEncoder

_NETWORKS = {
    "compact": (CompactEncoder, CompactDecoder),
    "magvit2": (Magvit2Encoder, Magvit2Decoder),
    "vit": (VitEncoder, VitDecoder),
}


class VideoTokenizer(PretrainedMixin, nn.Module):
    """Causal autoencoder with a quantizer without a stored codebook.

    `forward` is for training; `encode` and `decode` are its two halves, `encoder_stream` and
    `decoder_stream` these for a clip that comes in parts.
    """

    kind = "video_tokenizer"
    config_class = VideoTokenizerConfig

    def __init__(self, config: VideoTokenizerConfig):
        super().__init__()
        self.config = config
        encoder, decoder = _NETWORKS[config.network]
        self.encoder = encoder(config)
        self.quantizer = build_quantizer(config)
        self.decoder = decoder(config)
        # Which clips it was trained on, if that is known; the codes do not depend on it.
        self.trained_clips: TrainedClips | None = None

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "VideoTokenizer":
        tokenizer = super().from_pretrained(folder)
        tokenizer.trained_clips = TrainedClips.load(Path(folder))
        return tokenizer

    def save_pretrained(self, folder: str | Path, state: dict[str, Tensor] | None = None) -> None:
        super().save_pretrained(folder, state)
        if self.trained_clips is not None:
            self.trained_clips.save(Path(folder))

    @property
    def codebook_size(self) -> int:
        return self.quantizer.codebook_size

    @property
    def factors(self) -> tuple[int, ...]:
        """Sizes of the low and the high half of a code: 10 bits are (32, 32)."""
        return self.quantizer.factors

    @property
    def temporal_stride(self) -> int:
        return self.config.temporal_stride

    @property
    def spatial_stride(self) -> int:
        return self.config.spatial_stride

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def grid(self, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Codes (t, h, w) of a clip.

        Raises:
            ValueError: if the frames after the first do not fill whole groups of `temporal_stride`, or
                height or width is not a multiple of `spatial_stride`.
        """
        strides = {"temporal_stride": self.temporal_stride, "spatial_stride": self.spatial_stride}
        return code_grid(num_frames, height, width, **strides)

    def latents(
        self, pixels: Float[Tensor, "batch 3 frames height width"], memory: Memory | None = None
    ) -> Float[Tensor, "batch t h w channels"]:
        """Normalised latents before they are quantised, in float32; sizes as in `encode`.

        Args:
            memory: of the parts of the clip before this one, for clips that come in parts.
        """
        self.grid(1 if memory else pixels.shape[2], *pixels.shape[3:])
        return self.quantizer.normalised(self.encoder(pixels, memory))

    def encode(self, pixels: Float[Tensor, "batch 3 frames height width"]) -> Int[Tensor, "batch t h w"]:
        """Codes of clips with pixels in [-1, 1].

        Raises:
            ValueError: for frame counts and sizes that `grid` refuses.
        """
        return self.quantizer.codes(self.latents(pixels))

    def decode(
        self, codes: Int[Tensor, "batch t h w"], memory: Memory | None = None
    ) -> Float[Tensor, "batch 3 frames height width"]:
        """Pixels, about in [-1, 1]: 1 + (t - 1) * temporal_stride frames.

        Args:
            memory: of the parts of the clip before this one, for clips that come in parts.

        Raises:
            ValueError: if a code is outside the codebook.
        """
        check_codes(codes, self.codebook_size)
        return self.decoder(self.quantizer.values(codes).to(self.dtype), memory)

    def forward(
        self, pixels: Float[Tensor, "batch 3 frames height width"]
    ) -> tuple[Float[Tensor, "batch 3 frames height width"], Float[Tensor, "batch t h w channels"]]:
        """The reconstruction, with gradients through the quantizer, and the latents before it."""
        latents = self.latents(pixels)
        return self.decoder(self.quantizer.quantize(latents).to(self.dtype)), latents

    def encoder_stream(self) -> "EncoderStream":
        return EncoderStream(self)

    def decoder_stream(self) -> "DecoderStream":
        return DecoderStream(self)


class EncoderStream:
    """Codes of a clip whose frames come in parts of any length, in memory that does not grow with it."""

    def __init__(self, tokenizer: VideoTokenizer):
        self.tokenizer = tokenizer
        self.memory: Memory = {}
        self.waiting: Tensor | None = None

    @property
    def pending(self) -> int:
        """Frames that no code covers yet: a code is made when the last frame of its group has come."""
        return 0 if self.waiting is None else self.waiting.shape[2]

    @torch.no_grad()
    def push(self, pixels: Float[Tensor, "batch 3 frames height width"]) -> Int[Tensor, "batch t h w"]:
        """Codes of the latents that these frames complete, as `encode` gives them for the whole clip."""
        frames = pixels if self.waiting is None else torch.cat([self.waiting, pixels], dim=2)
        stride, started = self.tokenizer.temporal_stride, bool(self.memory)
        count = frames.shape[2]
        ready = count // stride * stride if started else 1 + (count - 1) // stride * stride
        self.waiting = frames[:, :, max(ready, 0) :].clone()
        if ready <= 0:
            positions = self.tokenizer.grid(1, *frames.shape[3:])[1:]
            return torch.zeros(len(frames), 0, *positions, dtype=torch.long, device=frames.device)
        latents = self.tokenizer.latents(frames[:, :, :ready], self.memory)
        return self.tokenizer.quantizer.codes(latents)


class DecoderStream:
    """Pixels of a clip whose codes come in parts, in memory that does not grow with it."""

    def __init__(self, tokenizer: VideoTokenizer):
        self.tokenizer = tokenizer
        self.memory: Memory = {}

    @torch.no_grad()
    def push(self, codes: Int[Tensor, "batch t h w"]) -> Float[Tensor, "batch 3 frames height width"]:
        """The frames of these latents, as `decode` gives them for the whole clip."""
        if not codes.shape[1]:
            stride = self.tokenizer.spatial_stride
            size = (codes.shape[2] * stride, codes.shape[3] * stride)
            return torch.zeros(len(codes), 3, 0, *size, dtype=self.tokenizer.dtype, device=codes.device)
        return self.tokenizer.decode(codes, self.memory)
