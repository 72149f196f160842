"""Emu3's video tokenizer in the place of ours: transformers' `Emu3VQVAE` behind `VideoCodec`.

Wang et al. 2024 (arXiv:2409.18869), section 2.2: a vector-quantised autoencoder of 32,768 codes that
covers 4 frames of 8 x 8 pixels with a code. Also an example of how a foreign folder is adapted.

    Emu3 counts   4k frames -> k latents; it repeats an image four times
    we count      1 + 4k frames -> 1 + k latents: the first frame, repeated as Emu3 repeats an image, then
                  groups of four; the repeats are cut off again after decoding

So the first frame is coded alone, an image has the codes of a first frame, and, as Emu3's convolutions over
time look back only, codes never depend on later frames: its codes take the place of ours everywhere, at the
cost of three more frames to encode and decode.

A folder is one of `Emu3VQVAE.save_pretrained`. Released weights stand in the whole model's:
`Emu3ForConditionalGeneration.from_pretrained(NAME).model.vqmodel.save_pretrained(FOLDER)`.
"""

from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...data.runtime.checksums import check_files, record_checksums
from ...data.runtime.files import read_json, replacing
from ...data.runtime.pretrained import fingerprint, load_weights
from .protocol import bit_factors, check_codes, code_grid

# What decides, beside the weights, which codes a clip gets. Named one by one: the stored config also holds
# versions and paths, which say nothing about the codes.
_SETTINGS = (
    "codebook_size", "embed_dim", "latent_channels", "in_channels", "out_channels", "base_channels",
    "temporal_downsample_factor", "channel_multiplier", "num_res_blocks", "attn_resolutions", "hidden_size",
    "num_attention_heads",
)  # fmt: skip


class Emu3VideoTokenizer(nn.Module):
    """Clips to codes and back through an `Emu3VQVAE`, which is put into evaluation mode.

    Raises:
        ValueError: if the model is not one of RGB pictures, or has settings that its own code cannot run.
    """

    def __init__(self, emu3: nn.Module):
        super().__init__()
        config: Any = emu3.config
        if (config.in_channels, config.out_channels, config.double_latent) != (3, 3, False):
            raise ValueError(
                f"the Emu3VQVAE has in_channels {config.in_channels}, out_channels {config.out_channels}, "
                f"double_latent {config.double_latent}; expected 3, 3, False"
            )
        factor = config.temporal_downsample_factor
        if factor < 1 or factor & (factor - 1):
            raise ValueError(f"temporal_downsample_factor is {factor}; expected a power of two, such as 4")
        self.emu3: Any = emu3
        self.eval()

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "Emu3VideoTokenizer":
        """Load a folder of `Emu3VQVAE.save_pretrained`: config.json and one model.safetensors.

        Raises:
            FileNotFoundError: if the folder or a file in it is missing.
            ValueError: if the settings make no such model, or the weights do not fit them.
        """
        from transformers import Emu3VQVAE, Emu3VQVAEConfig

        path = Path(folder) / "config.json"
        if not path.is_file():
            raise FileNotFoundError(f"{folder} is not a folder of an Emu3VQVAE: it has no config.json")
        check_files(folder)
        values = read_json(path)
        if not isinstance(values, dict) or values.get("model_type") != Emu3VQVAEConfig.model_type:
            raise ValueError(f"{path} does not describe an Emu3VQVAE")
        try:
            tokenizer = cls(Emu3VQVAE(Emu3VQVAEConfig.from_dict(values)))
        except Exception as error:  # transformers checks settings with types of its own, or torch does
            raise ValueError(f"{path} makes no Emu3VQVAE: {' '.join(str(error).split())}") from error
        load_weights(tokenizer.emu3, folder)
        return tokenizer

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that plain transformers loads too."""
        with replacing(Path(folder)) as temporary:
            self.emu3.save_pretrained(temporary)
            record_checksums(temporary)

    @property
    def config(self) -> Any:
        """The `Emu3VQVAEConfig`."""
        return self.emu3.config

    @property
    def codebook_size(self) -> int:
        return self.config.codebook_size

    @property
    def factors(self) -> tuple[int, ...]:
        """Halves of a code's bits: (128, 256) of 32,768. The entries of the codebook have no order, so the
        digits have no meaning of their own."""
        return bit_factors(self.codebook_size)

    @property
    def temporal_stride(self) -> int:
        return self.config.temporal_downsample_factor

    @property
    def spatial_stride(self) -> int:
        return self.emu3.spatial_scale_factor

    @property
    def fingerprint(self) -> str:
        config = self.config.to_dict()
        return fingerprint({name: config[name] for name in _SETTINGS}, self.emu3.state_dict())

    def grid(self, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Codes (t, h, w) of a clip of 1 + 4k frames: t = 1 + k.

        Raises:
            ValueError: for any other number of frames, or if height or width is not a multiple of 8.
        """
        strides = {"temporal_stride": self.temporal_stride, "spatial_stride": self.spatial_stride}
        return code_grid(num_frames, height, width, **strides)

    @torch.no_grad()
    def encode(self, pixels: Float[Tensor, "batch 3 frames height width"]) -> Int[Tensor, "batch t h w"]:
        """Codes of clips with pixels in [-1, 1].

        Raises:
            ValueError: for frame counts and sizes that `grid` refuses.
        """
        self.grid(*pixels.shape[2:])
        repeats = pixels[:, :, :1].expand(-1, -1, self.temporal_stride - 1, -1, -1)
        frames = rearrange(torch.cat([repeats, pixels], dim=2), "b c frames h w -> b frames c h w")
        # The three steps of Emu3VQVAE.encode, which then cuts each grid to the sizes of its pictures along
        # the first two axes; in a clip those are t and h, so that it loses latents.
        latents = rearrange(self.emu3.encoder(frames.to(self.emu3.dtype)), "b t c h w -> b c t h w")
        return self.emu3.quantize(rearrange(self.emu3.quant_conv(latents), "b c t h w -> b t c h w"))

    @torch.no_grad()
    def decode(self, codes: Int[Tensor, "batch t h w"]) -> Float[Tensor, "batch 3 frames height width"]:
        """Pixels, about in [-1, 1]: 1 + 4 (t - 1) frames.

        The first frame is the last of the four that its codes decode to, whose convolutions have seen all
        repeats. (Emu3 takes the first of the four for an image.)

        Raises:
            ValueError: if a code is outside the codebook.
        """
        check_codes(codes, self.codebook_size)
        pixels = rearrange(self.emu3.decode(codes), "b frames c h w -> b c frames h w")
        return pixels[:, :, self.temporal_stride - 1 :]
