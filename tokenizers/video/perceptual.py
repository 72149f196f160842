"""Perceptual distances of frames, measured by pretrained networks.

Two networks are read from local weights. Each compares frames one by one:

    a folder   ResNet-50's logits, the perceptual loss of MAGVIT's code (Yu et al. 2022, arXiv:2212.05199)
    a file     LPIPS on VGG16 (Zhang et al. 2018, arXiv:1801.03924), also a score for evaluation

Their weights are no part of what is trained. A training module keeps them out of its own state by holding
the loss in a tuple, into which neither checkpoints nor optimizers nor distributed wrappers look:

    self.perceptual = (perceptual_loss("resnet-50"),)
    loss = self.perceptual[0](reconstruction, pixels)
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from ...data.runtime.files import read_json
from ...data.runtime.weights_file import check_holds, load_fitting, read_weights, some

_RESNET_SIZE = 224
_LPIPS_SIZE = 16


def perceptual_loss(path: str | Path, frames_per_clip: int | None = None) -> "PerceptualLoss":
    """The perceptual loss of a folder (`read_resnet`) or of a file (`read_lpips`); errors as theirs.

    Args:
        path: the folder or the file.
        frames_per_clip: see `PerceptualLoss`.
    """
    read = read_resnet if Path(path).is_dir() else read_lpips
    return PerceptualLoss(read(path), frames_per_clip)


class PerceptualLoss(nn.Module):
    """The mean distance of frames, with gradients to the reconstruction only.

    The network follows its input to another device, so that it need not be a registered part of anything.

    Args:
        network: distances of images, as `ResNetLogits` and `Lpips`.
        frames_per_clip: score so many frames, drawn anew for each clip and call; None, or a clip that has
            no more, scores all.

    Raises:
        ValueError: if frames_per_clip is less than 1.
    """

    def __init__(self, network: nn.Module, frames_per_clip: int | None = None):
        super().__init__()
        if frames_per_clip is not None and frames_per_clip < 1:
            raise ValueError(f"frames_per_clip is {frames_per_clip}; expected 1 or more, or None for all")
        self.network = network
        self.frames_per_clip = frames_per_clip

    def forward(
        self,
        reconstruction: Float[Tensor, "batch 3 frames height width"],
        pixels: Float[Tensor, "batch 3 frames height width"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of clips with pixels in [-1, 1]; a reconstruction may leave that range.

        Args:
            generator: on the device of the clips, draws the frames; None takes torch's own.
        """
        if next(self.network.parameters()).device != pixels.device:
            self.network.to(pixels.device)
        scored = self._scored_frames(pixels, generator)
        images, targets = (
            rearrange(clips, "batch c frames h w -> (batch frames) c h w")[scored]
            for clips in (reconstruction, pixels)
        )
        return self.network(images, targets).mean()

    def _scored_frames(
        self, pixels: Float[Tensor, "batch 3 frames height width"], generator: torch.Generator | None
    ) -> Tensor | slice:
        """Which of the frames of all clips, one clip after the other."""
        batch, _, frames = pixels.shape[:3]
        if self.frames_per_clip is None or self.frames_per_clip >= frames:
            return slice(None)
        order = torch.rand(batch, frames, device=pixels.device, generator=generator).argsort(1)
        first_of_clip = torch.arange(batch, device=pixels.device) * frames
        return (first_of_clip[:, None] + order[:, : self.frames_per_clip]).flatten()


class ResNetLogits(nn.Module):
    """The mean squared difference of a classifier's logits, of images resized to 224x224.

    Args:
        classifier: transformers' ResNetForImageClassification.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.classifier = classifier.requires_grad_(False).eval()
        # Of ImageNet, for pixels in [0, 1].
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        self.register_buffer("mean", mean.view(3, 1, 1), persistent=False)
        self.register_buffer("std", std.view(3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> "ResNetLogits":
        """Stays in evaluation mode: the statistics of the batch norms belong to the weights."""
        return super().train(False)

    def forward(
        self,
        images: Float[Tensor, "images 3 height width"],
        targets: Float[Tensor, "images 3 height width"],
    ) -> Float[Tensor, " images"]:
        """Distances, with gradients to `images`; pixels in [-1, 1]."""
        with torch.no_grad():
            wanted = self.logits(targets)
        return (self.logits(images) - wanted).square().mean(1)

    def logits(self, images: Float[Tensor, "images 3 height width"]) -> Float[Tensor, "images classes"]:
        size = (_RESNET_SIZE, _RESNET_SIZE)
        resized = F.interpolate(images.float(), size, mode="bilinear", antialias=True)
        return self.classifier(((resized + 1) / 2 - self.mean) / self.std).logits.float()


def read_resnet(folder: str | Path) -> ResNetLogits:
    """The network of a folder of transformers' ResNetForImageClassification, such as microsoft/resnet-50.

    Raises:
        FileNotFoundError: if the folder lacks config.json or model.safetensors.
        ValueError: if it holds another kind of model or weights that do not fit.
    """
    from transformers import ResNetConfig, ResNetForImageClassification

    folder = Path(folder)
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} is not a folder of a ResNet: it has no {name}")
    settings = read_json(folder / "config.json")
    kind = settings.get("model_type") if isinstance(settings, dict) else type(settings).__name__
    if kind != "resnet":
        raise ValueError(f"{folder / 'config.json'} describes {kind!r}; expected 'resnet'")
    try:
        classifier = ResNetForImageClassification(ResNetConfig.from_dict(settings))
    except Exception as error:  # transformers raises many types for settings that make no network
        raise ValueError(f"{folder / 'config.json'} describes no ResNet: {_one_line(error)}") from error
    path = folder / "model.safetensors"
    weights = read_weights(path)
    expected = classifier.state_dict()
    check_holds(weights, expected, path)
    if unknown := weights.keys() - expected.keys():
        raise ValueError(f"{path} has weights that its config.json does not name: {some(unknown)}")
    classifier.load_state_dict(weights)
    return ResNetLogits(classifier)


class Lpips(nn.Module):
    """Learned perceptual image patch similarity, version 0.1, on VGG16.

    The features after each block of VGG16 (relu1_2, 2_2, 3_3, 4_3, 5_3) are divided by their length at
    each position; the squared differences are weighted by channel, averaged over positions and summed over
    blocks (Zhang et al. 2018, eq. 1). 0 for equal images.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = _vgg16_features()
        for block, channels in enumerate(_VGG16_WIDTHS):
            self.add_module(f"lin{block}", _ChannelWeighting(channels))
        self.requires_grad_(False)
        # ImageNet's mean and deviation for pixels in [-1, 1], as rounded in the authors' code.
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        self.register_buffer("shift", shift.view(3, 1, 1), persistent=False)
        self.register_buffer("scale", scale.view(3, 1, 1), persistent=False)

    def forward(
        self,
        images: Float[Tensor, "images 3 height width"],
        targets: Float[Tensor, "images 3 height width"],
    ) -> Float[Tensor, " images"]:
        """Distances, with gradients to `images`.

        Args:
            images: pixels in [-1, 1], of at least 16x16.
            targets: likewise.

        Raises:
            ValueError: if they are smaller.
        """
        height, width = images.shape[-2:]
        least = _LPIPS_SIZE
        if min(height, width) < least:
            raise ValueError(f"frames are {height}x{width}; LPIPS expects at least {least}x{least}")
        with torch.no_grad():
            wanted = self._directions(targets)
        distances = [
            self.get_submodule(f"lin{block}")((ours - theirs).square())
            for block, (ours, theirs) in enumerate(zip(self._directions(images), wanted, strict=True))
        ]
        return torch.stack(distances).sum(0)

    @torch.no_grad()
    def distance(
        self,
        real: Float[Tensor, "*batch 3 frames height width"],
        other: Float[Tensor, "*batch 3 frames height width"],
    ) -> Float[Tensor, "*batch frames"]:
        """The score of every frame of clips with pixels in [-1, 1], in float32 also under autocast.

        Raises:
            ValueError: if the frames are smaller than 16x16.
        """
        images, targets = (rearrange(clips, "... c f h w -> (... f) c h w") for clips in (other, real))
        with torch.autocast(real.device.type, enabled=False):
            return self(images, targets).reshape(*real.shape[:-4], real.shape[-3])

    def _directions(self, images: Float[Tensor, "images 3 height width"]) -> list[Tensor]:
        """Features after each block, divided by their length over the channels."""
        features = (images.float() - self.shift) / self.scale
        directions = []
        for index, layer in enumerate(self.features):
            features = layer(features)
            if index in _VGG16_TAPS:
                tapped = features.float()
                length = torch.linalg.vector_norm(tapped, dim=1, keepdim=True)
                directions.append(tapped / (length + 1e-10))
        return directions


class _ChannelWeighting(nn.Module):
    """A weighted sum over channels, averaged over positions.

    The weights have the name that the published file gives them, behind a dropout that scoring leaves out.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, features: Float[Tensor, "images channels h w"]) -> Float[Tensor, " images"]:
        return (features * self.model.get_parameter("1.weight")).sum(1).mean((1, 2))


def read_lpips(path: str | Path) -> Lpips:
    """LPIPS from one file, .safetensors or one that torch saved, of the weights of two:

        torch.save(torchvision.models.vgg16(weights="IMAGENET1K_V1").state_dict()
                   | torch.load("lpips/weights/v0.1/vgg.pth"), "lpips.pth")

    that is torchvision's `features.0.weight` and so on, of which the classifier is not used, and the
    package lpips' `lin0.model.1.weight` to `lin4.model.1.weight`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read as weights, lacks some, or has some of another shape, or weights of
            channels below zero, by which a distance could be.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected LPIPS weights, or a folder for a ResNet")
    lpips = Lpips()
    load_fitting(lpips, read_weights(path), path)
    weightings = {name: value for name, value in lpips.state_dict().items() if name.startswith("lin")}
    if negative := [name for name, value in weightings.items() if (value < 0).any()]:
        raise ValueError(f"{path} has weights below zero in {some(negative)}; LPIPS expects none")
    return lpips.eval()


# Simonyan and Zisserman 2014 (arXiv:1409.1556), table 1, column D, up to relu5_3.
_VGG16_WIDTHS = (64, 128, 256, 512, 512)
_VGG16_DEPTHS = (2, 2, 3, 3, 3)
# Where the ReLU that ends each block stands in torchvision's numbering, which is ours too.
_VGG16_TAPS = (3, 8, 15, 22, 29)


def _vgg16_features() -> nn.Sequential:
    """The convolutions of VGG16, each at the place that torchvision gives it."""
    layers: list[nn.Module] = []
    before = 3
    for width, depth in zip(_VGG16_WIDTHS, _VGG16_DEPTHS, strict=True):
        if layers:
            layers.append(nn.MaxPool2d(2))
        for _ in range(depth):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before = width
    return nn.Sequential(*layers)


def _one_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
