"""The video tokenizer: clips to a grid of codes and back.

    pixels (batch 3 frames height width) -> encoder -> norm -> signs -> codes (batch t h w)
    t = 1 + (frames - 1) / temporal_stride, h = height / spatial_stride, w = width / spatial_stride

The first frame is coded alone, so an image is a clip of one frame, and a code never depends on later
frames (Yu et al. 2023, arXiv:2310.05737, section 3.2).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..data.pretrained import PretrainedMixin
from ..data.timing import video_latents
from .autoencoder import Decoder, Encoder, VideoTokenizerConfig
from .causal_conv import FrameNorm
from .lfq import codes_from_latents, latents_from_codes, quantize


class VideoTokenizer(PretrainedMixin, nn.Module):
    """Causal autoencoder with a lookup-free quantizer.

    `forward` is for training; `encode` and `decode` are its two halves.
    """

    kind = "video_tokenizer"
    config_class = VideoTokenizerConfig

    def __init__(self, config: VideoTokenizerConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        # Without a norm here few codes come into use (Yu et al.'s first author, vector-quantize-pytorch
        # pull request 89).
        self.norm = FrameNorm(config.bits, affine=False)
        self.decoder = Decoder(config)

    @property
    def codebook_size(self) -> int:
        return 2**self.config.bits

    @property
    def factors(self) -> tuple[int, ...]:
        """Sizes of the low and the high half of a code's bits: 10 bits are (32, 32)."""
        half = self.config.bits // 2
        return (2**half, 2 ** (self.config.bits - half)) if half else (self.codebook_size,)

    @property
    def temporal_stride(self) -> int:
        return self.config.temporal_stride

    @property
    def spatial_stride(self) -> int:
        return self.config.spatial_stride

    def grid(self, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Codes (t, h, w) of a clip.

        Raises:
            ValueError: if the frames after the first do not fill whole groups of `temporal_stride`, or
                height or width is not a multiple of `spatial_stride`.
        """
        stride = self.spatial_stride
        if height < 1 or width < 1 or height % stride or width % stride:
            raise ValueError(
                f"frames are {height}x{width}; expected height and width in multiples of {stride}"
            )
        return video_latents(num_frames, self.temporal_stride), height // stride, width // stride

    def latents(
        self, pixels: Float[Tensor, "batch 3 frames height width"]
    ) -> Float[Tensor, "batch t h w bits"]:
        """Normalised latents before the sign, in float32; sizes as in `encode`."""
        self.grid(*pixels.shape[2:])
        return self.norm(self.encoder(pixels).float())

    def encode(self, pixels: Float[Tensor, "batch 3 frames height width"]) -> Int[Tensor, "batch t h w"]:
        """Codes of clips with pixels in [-1, 1].

        Raises:
            ValueError: for frame counts and sizes that `grid` refuses.
        """
        return codes_from_latents(self.latents(pixels))

    def decode(self, codes: Int[Tensor, "batch t h w"]) -> Float[Tensor, "batch 3 frames height width"]:
        """Pixels, about in [-1, 1]: 1 + (t - 1) * temporal_stride frames.

        Raises:
            ValueError: if a code is outside the codebook.
        """
        if codes.numel() and (codes.min() < 0 or codes.max() >= self.codebook_size):
            raise ValueError(
                f"codes lie in [{int(codes.min())}, {int(codes.max())}]; expected [0, {self.codebook_size})"
            )
        return self.decoder(latents_from_codes(codes, self.config.bits).to(self.dtype))

    def forward(
        self, pixels: Float[Tensor, "batch 3 frames height width"]
    ) -> tuple[Float[Tensor, "batch 3 frames height width"], Float[Tensor, "batch t h w bits"]]:
        """The reconstruction, with gradients straight through the signs, and the latents before them."""
        latents = self.latents(pixels)
        return self.decoder(quantize(latents).to(self.dtype)), latents

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype
