"""Video tokenizers that are compared, behind one interface: ours by name of config, and magvit2-pytorch.

A contestant brings its own loss weights, optimizer and learning rate; who measures gives it pixels in
[-1, 1]. None has a perceptual or adversarial loss: those need weights of other networks, and what is
compared here is the error of pixels.
"""

import sys
import types
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from videolm.cli.config_files import packaged_config, read_config
from videolm.tokenizers.video.causal_conv import PointwiseConv
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.lightning_module import VideoTokenizerTraining
from videolm.tokenizers.video.losses import reconstruction_losses
from videolm.training.muon import Muon, parameter_groups

Pixels = Float[Tensor, "batch 3 frames height width"]
Codes = Int[Tensor, "batch t h w"]

# What the quantizer of magvit2-pytorch is given; 8 ** 6 levels are as many codes as 18 bits.
PEERS: dict[str, dict[str, Any]] = {
    "magvit2-pytorch-2^18": {"codebook_size": 2**18},
    "magvit2-pytorch-2^10": {"codebook_size": 2**10},
    "magvit2-pytorch-fsq": {"use_fsq": True, "fsq_levels": [8] * 6},
}
PEER_LAYERS = ("convolutions", "readme")
_NETWORKS_OF_LOSSES = ("discriminator", "perceptual", "init_from")


class Contestant(Protocol):
    """A tokenizer with what trains it.

    Attributes:
        network: in training mode while `loss` is called.
        optimizer: its learning rates are the peaks; the schedule is not its own.
        max_gradient_norm: to which gradients are clipped; None leaves them.
        codebook_size: codes are in [0, codebook_size).
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    max_gradient_norm: float | None
    codebook_size: int

    @property
    def num_parameters(self) -> int: ...

    def loss(self, pixels: Pixels, step: int) -> Float[Tensor, ""]: ...

    def reconstruct(self, pixels: Pixels) -> tuple[Pixels, Codes]:
        """What pixels become, and the codes in between; the network is in evaluation mode."""
        ...

    def encode(self, pixels: Pixels) -> Codes: ...

    def decode(self, codes: Codes) -> Pixels: ...


def build(
    name: str,
    size: int,
    learning_rate: float | None = None,
    peer_layers: str = "convolutions",
    peer_channels: int = 64,
) -> Contestant:
    """A contestant with random weights.

    Args:
        name: one of PEERS, or a config of the video tokenizer.
        size: height and width of the frames, which magvit2-pytorch must know.
        learning_rate: in place of its own; of our convolutions, Adam's then changes in the same ratio.
        peer_layers: one of PEER_LAYERS (see `magvit2_pytorch_layers`).
        peer_channels: width of the first stage of magvit2-pytorch.

    Raises:
        FileNotFoundError: if there is neither such a peer nor such a config.
    """
    if name in PEERS:
        layers = magvit2_pytorch_layers(peer_layers, peer_channels)
        return Magvit2Pytorch(PEERS[name], layers, peer_channels, size, learning_rate)
    return Ours(name, learning_rate)


class Ours:
    """The network and the loss weights of configs/tokenizer/NAME.yaml, trained by Muon.

    Of the config's losses those of pixels and of codes; its running average of the weights is not made.
    """

    def __init__(self, name: str, learning_rate: float | None = None):
        config = read_config(packaged_config(name, "tokenizer"))
        settings = {key: value for key, value in config["model"].items() if key not in _NETWORKS_OF_LOSSES}
        shape = {key: _as_tuple(value) for key, value in settings.pop("tokenizer").items()}
        self.stage = VideoTokenizerTraining(VideoTokenizerConfig(**shape), **settings)
        self.network = self.stage.tokenizer
        self.codebook_size = self.network.codebook_size
        self.max_gradient_norm = config["trainer"].get("gradient_clip_val")
        kinds = (nn.Conv2d, nn.Conv3d, PointwiseConv)
        convolutions = [module for module in self.network.modules() if isinstance(module, kinds)]
        factor = learning_rate / self.stage.learning_rate if learning_rate else 1.0
        rates = self.stage.learning_rate * factor, self.stage.adam_learning_rate * factor
        self.optimizer = Muon(parameter_groups(convolutions, self.network), *rates)

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.network.parameters())

    def loss(self, pixels: Pixels, step: int) -> Float[Tensor, ""]:
        reconstruction, latents = self.network(pixels)
        losses = reconstruction_losses(reconstruction, pixels)
        losses |= self.network.quantizer.penalties(latents, self.stage.temperature_at(step))
        if "sample_entropy" in losses:
            entropy = losses.pop("sample_entropy") - losses.pop("batch_entropy")
            losses["entropy"] = entropy * self.stage.entropy_scale(step)
        return sum(self.stage.weights[name] * value for name, value in losses.items())

    def reconstruct(self, pixels: Pixels) -> tuple[Pixels, Codes]:
        reconstruction, latents = self.network(pixels)
        return reconstruction, self.network.quantizer.codes(latents)

    def encode(self, pixels: Pixels) -> Codes:
        return self.network.encode(pixels)

    def decode(self, codes: Codes) -> Pixels:
        return self.network.decode(codes)


class Magvit2Pytorch:
    """magvit2-pytorch's VideoTokenizer with its default losses, and the AdamW that its trainer takes.

    Its data sets give it pixels in [0, 1], so it has these here. The learning rate is that of its README.
    """

    learning_rate = 2e-5
    max_gradient_norm = None

    def __init__(
        self,
        quantizer: dict[str, Any],
        layers: tuple[Any, ...],
        channels: int,
        size: int,
        learning_rate: float | None = None,
    ):
        _stand_in_for_unused_imports()
        from magvit2_pytorch import VideoTokenizer as Peer
        from magvit2_pytorch.optimizer import get_optimizer

        self.network = Peer(
            image_size=size,
            init_dim=channels,
            max_dim=8 * channels,
            layers=layers,
            use_gan=False,
            perceptual_loss_weight=0.0,
            **quantizer,
        )
        del self.network.discr
        self.codebook_size = self.network.quantizers.codebook_size
        self.optimizer = get_optimizer(self.network.parameters(), lr=learning_rate or self.learning_rate)

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.network.parameters())

    def loss(self, pixels: Pixels, step: int) -> Float[Tensor, ""]:
        loss, _ = self.network((pixels + 1) / 2, return_loss=True)
        return loss

    def reconstruct(self, pixels: Pixels) -> tuple[Pixels, Codes]:
        codes, reconstruction = self.network((pixels + 1) / 2, return_codes=True, return_recon=True)
        return reconstruction * 2 - 1, codes.long()

    def encode(self, pixels: Pixels) -> Codes:
        return self.network((pixels + 1) / 2, return_codes=True)

    def decode(self, codes: Codes) -> Pixels:
        return self.network.decode_from_code_indices(codes) * 2 - 1


def magvit2_pytorch_layers(kind: str, channels: int) -> tuple[Any, ...]:
    """Layers of magvit2-pytorch that code 4 frames of 8x8 pixels as one.

    `convolutions` has residual and downsampling layers only. `readme` are those of its README, which has
    attention over space and time besides.
    """
    narrow, middle, wide = 2 * channels, 4 * channels, 8 * channels
    if kind == "convolutions":
        return (
            "residual",
            ("compress_space", narrow),
            "residual",
            ("compress_space", middle),
            ("consecutive_residual", 2),
            ("compress_time", middle),
            "residual",
            ("compress_space", wide),
            ("consecutive_residual", 2),
            ("compress_time", wide),
        )
    if kind == "readme":
        two = ("consecutive_residual", 2)
        return (
            *("residual", "compress_space", two, "compress_space", two, "linear_attend_space"),
            *("compress_space", two, "attend_space"),
            *("compress_time", two, "compress_time", two, "attend_time"),
        )
    raise ValueError(f"layers of magvit2-pytorch are {kind!r}; expected one of {', '.join(PEER_LAYERS)}")


def _stand_in_for_unused_imports() -> None:
    """Empty modules for what magvit2-pytorch imports and no contestant calls.

    torchvision is for the perceptual loss, kornia for the discriminator, the trainer for its own loop; their
    packages are large, and an installed torchvision breaks transformers (see README.md).
    """
    for name, names in {
        "torchvision": {},
        "torchvision.models": {"VGG16_Weights": type("VGG16_Weights", (), {"DEFAULT": None})},
        "kornia": {},
        "kornia.filters": {"filter3d": None},
        "magvit2_pytorch.trainer": {"VideoTokenizerTrainer": None},
    }.items():
        module = types.ModuleType(name)
        vars(module).update(names)
        sys.modules[name] = module


def _as_tuple(value: Any) -> Any:
    """YAML has lists only; configs hold tuples."""
    return tuple(value) if isinstance(value, list) else value
