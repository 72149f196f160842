"""Shape of a video tokenizer."""

from dataclasses import dataclass, field
from math import prod
from typing import Literal

from ...data.runtime.pretrained import LATER
from ...data.runtime.typed_fields import check_fields, check_least

_MOST = 1000  # stages and blocks


@dataclass(frozen=True)
class VideoTokenizerConfig:
    """What a video tokenizer is built from.

    Args:
        network: `compact` (patches and factorised convolutions), `magvit2` (the paper's drawing) or `vit`
            (large patches and transformers).
        quantizer: `lfq`, or for comparison `bsq` or `fsq` (see `quantizers`).
        bits: bits of a code; the codebook has 2 ** bits entries. Not read by `fsq`.
        levels: values that each channel of an `fsq` code may have, such as (8, 8, 8, 5, 5, 5).
        channels: width of the first stage.
        multipliers: width of each stage in units of `channels`.
        blocks: residual blocks of a stage.
        decoder_blocks: of the decoder of a `vit`; 0 is as many as `blocks`.
        patch: height and width of the square of pixels that the first convolution sees as one position.
        temporal_patch: frames that a patch of a `vit` covers; the first patch of a clip covers one.
        attention: whether the positions of a frame in a `vit` see each other and know their place. Without,
            each code says what is in its own patch alone, as the tiles of a grid world want it.
        spatial_strides: between each stage and the next; a code covers patch * their product pixels.
        temporal_strides: between each stage and the next; a later code covers their product in frames.
        temporal_kernel: frames that a convolution over time sees; 1 makes a tokenizer of single images.
    """

    network: Literal["compact", "magvit2", "vit"] = "compact"
    quantizer: Literal["lfq", "bsq", "fsq"] = "lfq"
    bits: int = 10
    levels: tuple[int, ...] = ()
    channels: int = 48
    multipliers: tuple[int, ...] = (1, 2, 2)
    blocks: int = 1
    decoder_blocks: int = field(default=0, metadata=LATER)
    patch: int = 4
    temporal_patch: int = field(default=1, metadata=LATER)
    attention: bool = field(default=True, metadata=LATER)
    spatial_strides: tuple[int, ...] = (2, 1)
    temporal_strides: tuple[int, ...] = (2, 2)
    temporal_kernel: int = 3

    def __post_init__(self) -> None:
        if self.network not in ("compact", "magvit2", "vit"):
            raise ValueError(f"network is {self.network!r}; expected 'compact', 'magvit2' or 'vit'")
        if self.quantizer not in ("lfq", "bsq", "fsq"):
            raise ValueError(f"quantizer is {self.quantizer!r}; expected 'lfq', 'bsq' or 'fsq'")
        check_fields(self)
        if not 1 <= self.bits <= 24:
            raise ValueError(f"bits is {self.bits}; expected 1 to 24")
        if (self.quantizer == "fsq") != bool(self.levels) or any(level < 3 for level in self.levels):
            raise ValueError(
                f"levels are {self.levels} with quantizer {self.quantizer!r}; "
                "fsq needs levels of 3 or more each, the others none"
            )
        names = ("channels", "blocks", "patch", "temporal_patch", "multipliers")
        strides = ("spatial_strides", "temporal_strides")
        check_least(self, **dict.fromkeys((*names, *strides), 1), decoder_blocks=0)
        if not self.multipliers or max(self.blocks, self.decoder_blocks, len(self.multipliers)) > _MOST:
            raise ValueError(
                f"there are {len(self.multipliers)} stages of {self.blocks} blocks; expected 1 to {_MOST}"
            )
        self._check_network()
        between = len(self.multipliers) - 1
        for name in strides:
            if len(getattr(self, name)) != between:
                raise ValueError(
                    f"{name} are {getattr(self, name)}; expected {between}, one between each of the "
                    f"{len(self.multipliers)} stages and the next"
                )
        if any(stride > self.temporal_kernel for stride in self.temporal_strides):
            raise ValueError(
                f"temporal_kernel is {self.temporal_kernel}; a stride of {max(self.temporal_strides)} frames "
                "needs at least as many"
            )

    def _check_network(self) -> None:
        """What only one kind of network has."""
        if self.network == "vit" and any(stride > 1 for stride in self.temporal_strides):
            raise ValueError(
                f"temporal_strides are {self.temporal_strides}; a vit strides in time by temporal_patch alone"
            )
        usual = {"temporal_patch": 1, "decoder_blocks": 0, "attention": True}
        for name, value in usual.items():
            if self.network != "vit" and getattr(self, name) != value:
                raise ValueError(f"{name} is {getattr(self, name)}; only a vit has it, not {self.network}")
        if self.network == "vit" and self.temporal_patch > 1 and self.temporal_kernel == 1:
            raise ValueError("temporal_kernel 1 makes a tokenizer of single images; its temporal_patch is 1")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each stage."""
        return tuple(self.channels * multiplier for multiplier in self.multipliers)

    @property
    def code_channels(self) -> int:
        """Channels of a latent that is quantised."""
        return len(self.levels) or self.bits

    @property
    def spatial_stride(self) -> int:
        return self.patch * prod(self.spatial_strides)

    @property
    def temporal_stride(self) -> int:
        return self.temporal_patch * prod(self.temporal_strides)
