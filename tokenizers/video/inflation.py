"""Start a video tokenizer from another one: a tokenizer of single images is inflated.

An image kernel becomes the last frame of a causal kernel, whose other frames are zero. This is the "central
inflation" of Yu et al. 2023 (arXiv:2310.05737, appendix A.1), at the end because causal kernels are padded at
the front. A convolution before depth to time has outputs for every frame that a latent becomes; each of them
starts with the image's outputs. So at first every frame is treated as an image: latent j is that of frame
stride * j, and an image keeps its codes.

The paper trains a new discriminator for the videos. Here the one of the images goes on, if it was kept: its
kernels become the middle frame of kernels that are zero elsewhere: a still clip has the logit of its image.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from einops import repeat
from torch import Tensor, nn

from ...data.runtime.notes import notify
from ...data.runtime.pretrained import read_config
from . import compact, magvit2, vit
from .causal_conv import CausalConv3d, TemporalConv
from .config import VideoTokenizerConfig
from .discriminator import Discriminator
from .video_tokenizer import VideoTokenizer

DISCRIMINATOR = "discriminator"  # folder beside the tokenizer's files, which no code depends on

_Convolution = TemporalConv | CausalConv3d


def start_from(model: VideoTokenizer, folder: str | Path) -> None:
    """Fill `model` with the weights of the tokenizer in a folder, inflated if that is one of images.

    A tokenizer of images is one with a temporal kernel and strides of 1, otherwise shaped like `model`.

    Raises:
        FileNotFoundError, ValueError: as `VideoTokenizer.from_pretrained`.
        ValueError: if the networks differ in more than time.
    """
    source = VideoTokenizer.from_pretrained(folder)
    weights = source.state_dict()
    if source.config.temporal_kernel == 1 and model.config.temporal_kernel > 1:
        weights = _inflated(source, model)
    wanted = {name: value.shape for name, value in model.state_dict().items()}
    for name in sorted(wanted.keys() | weights.keys()):
        found = tuple(weights[name].shape) if name in weights else "absent"
        expected = tuple(wanted[name]) if name in wanted else "absent"
        if found != expected:
            raise ValueError(
                f"{folder} does not fit the tokenizer to be trained: {name} is {found}; expected {expected}"
            )
    model.load_state_dict(weights)


def start_discriminator(discriminator: Discriminator, folder: str | Path, *, of_videos: bool) -> None:
    """Fill `discriminator` with the one in the folder of a tokenizer, inflated if that is one of images.

    A folder without one is named in a warning, and the discriminator stays as it is.

    Args:
        of_videos: what is trained now.

    Raises:
        ValueError: if it is of another shape.
    """
    path = Path(folder) / DISCRIMINATOR
    if not path.is_dir():
        notify(f"{folder} has no discriminator to start from: a new one is trained")
        return
    source = Discriminator.from_pretrained(path)
    if source.config != discriminator.config:
        raise ValueError(
            f"{path} does not fit the discriminator to be trained: it is {source.config}; "
            f"expected {discriminator.config}"
        )
    weights = source.state_dict()
    if of_videos and read_config(folder, VideoTokenizer.kind, VideoTokenizerConfig).temporal_kernel == 1:
        weights = {name: _in_middle_frame(value) for name, value in weights.items()}
    discriminator.load_state_dict(weights)


def _inflated(source: VideoTokenizer, model: VideoTokenizer) -> dict[str, Tensor]:
    weights = source.state_dict()
    modules = dict(model.named_modules())
    for name, module in modules.items():
        if isinstance(module, _Convolution) and f"{name}.conv.weight" in weights:
            frames = _frames_made(modules, name)
            weight, bias = (_for_each(weights[f"{name}.conv.{part}"], frames) for part in ("weight", "bias"))
            weights[f"{name}.conv.weight"] = _in_last_frame(weight, module)
            weights[f"{name}.conv.bias"] = bias
    return weights


def _frames_made(modules: Mapping[str, nn.Module], name: str) -> int:
    """Frames that depth to time makes of a result of this convolution."""
    parent = modules[name.rpartition(".")[0]]
    ups = (compact.Upsample, magvit2.Upsample, vit.PatchUpsample)
    return parent.temporal_stride if isinstance(parent, ups) else 1


def _for_each(values: Tensor, frames: int) -> Tensor:
    """Outputs repeated for each frame; frames are the outermost part of the channels in all networks."""
    return repeat(values, "channels ... -> (frames channels) ...", frames=frames)


def _in_last_frame(weight: Tensor, module: _Convolution) -> Tensor:
    """A kernel of one frame as the last frame of a longer one; time is the first axis of the kernel."""
    inflated = weight.new_zeros(*weight.shape[:2], module.kernel, *weight.shape[3:])
    inflated[:, :, -1] = weight[:, :, 0]
    return inflated


def _in_middle_frame(weight: Tensor) -> Tensor:
    """A kernel over time, of which single images have trained the middle frame alone, zero in the others."""
    if weight.ndim < 5:
        return weight
    inflated, middle = torch.zeros_like(weight), weight.shape[2] // 2
    inflated[:, :, middle] = weight[:, :, middle]
    return inflated
