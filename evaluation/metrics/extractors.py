"""Feature extractors: a network with its preprocessing, and every constant that its features depend on.

An extractor takes clips of any sizes and gives a tensor "rows dim" for each: one row by a network of whole
clips, several rows by one that takes a sound in parts.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from ...data.media.clip import Clip
from ...data.media.pixels import pixels_from_frames
from ...data.media.timing import shown_frames
from ...data.runtime.checksums import file_hash
from ...data.runtime.device import device_of
from ...data.runtime.files import read_json
from ...data.runtime.transformers_loading import LOCAL, LOCAL_WEIGHTS
from ...tokenizers.text.clip_similarity import ClipSimilarity
from . import c3d, inception_v3, mel_statistics, random_network, vggish
from .resizing import Resize

_BATCH = 8


@runtime_checkable
class Extractor(Protocol):
    """A network with its preprocessing.

    Attributes:
        constants: whatever its features depend on, for the report.
    """

    constants: dict[str, Any]

    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]: ...


class PixelFeatures:
    """Features of a network that sees whole clips.

    Args:
        network: of clips "batch 3 frames height width".
        resize: to the size that the network sees, applied to pixels in [-1, 1].
        scaled: from pixels in [-1, 1] to what the network is used to.
        num_frames: that the network takes, exactly; any number if not given.
        constants: of the network and its file.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        resize: Resize | None,
        constants: dict[str, Any],
        scaled: Callable[[Tensor], Tensor] | None = None,
        num_frames: int | None = None,
    ):
        self.device = device_of()
        if isinstance(network, nn.Module):
            network = network.to(self.device).eval()
        self.network, self.resize, self.scaled, self.num_frames = network, resize, scaled, num_frames
        self.constants = constants | ({"network_resize": str(resize)} if resize else {})

    @torch.no_grad()
    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]:
        rows: list[Tensor] = []
        for _, alike in groupby(clips, key=lambda clip: clip.frames.shape):
            frames = torch.stack([clip.frames for clip in alike])
            if self.num_frames not in (None, frames.shape[1]):
                raise ValueError(f"clips have {frames.shape[1]} frames; the network takes {self.num_frames}")
            for part in frames.split(_BATCH):
                rows += self.network(self._pixels(part.to(self.device))).float().cpu()[:, None].unbind()
        return rows

    def _pixels(self, frames: Tensor) -> Tensor:
        pixels = pixels_from_frames(frames)
        if self.resize is not None:
            images = rearrange(pixels, "b c f h w -> b f c h w")
            pixels = rearrange(self.resize(images), "b f c h w -> b c f h w")
        return pixels if self.scaled is None else self.scaled(pixels)


def random_features() -> PixelFeatures:
    """Features that need no weights; of clips (`fvd_random`) and of images (`fid_random`)."""
    size = random_network.SIZE
    constants = {"network": f"random 3-D convolutions, seed {random_network.SEED}", "range": "[-1, 1]"}
    resize = Resize(size, size, antialias=True)
    return PixelFeatures(random_network.RandomNetwork(), resize, constants)


def i3d_features(network: nn.Module, file: Path) -> PixelFeatures:
    """Logits of I3D, as FVD compares them."""
    constants = _of_file("I3D, Kinetics-400, logits", file) | {"range": "[-1, 1]"}
    return PixelFeatures(network, Resize(224, 224), constants)


def i3d_script_features(script: Callable[..., Tensor], file: Path) -> PixelFeatures:
    """The same by the TorchScript file of StyleGAN-V's authors, which resizes and rescales by itself."""
    constants = _of_file("I3D, Kinetics-400, TorchScript", file)
    constants |= {"range": "0..255, rescaled by the script", "network_resize": "by the script"}

    def network(pixels: Tensor) -> Tensor:
        return script(pixels, rescale=True, resize=True, return_features=True)

    return PixelFeatures(network, None, constants, scaled=_bytes)


def c3d_logits(network: nn.Module, file: Path, mean: Tensor, mean_name: str) -> PixelFeatures:
    """Logits of C3D, for the inception score.

    Args:
        mean: of the training set, subtracted from BGR values 0..255; broadcast to "3 16 112 112".
    """
    constants = _of_file("C3D, UCF-101, logits", file) | {"range": f"BGR 0..255 less {mean_name}"}
    mean = mean.to(device_of())
    return PixelFeatures(
        network,
        Resize(c3d.SIZE, c3d.SIZE, align_corners=True),
        constants,
        scaled=lambda pixels: _bytes(pixels).flip(1) - mean,
        num_frames=c3d.FRAMES,
    )


def c3d_script_logits(script: Callable[..., Tensor], file: Path) -> PixelFeatures:
    """The same by the TorchScript file of StyleGAN-V's authors, which gives probabilities."""
    constants = _of_file("C3D, UCF-101, TorchScript", file) | {"range": "0..255", "network_resize": "by it"}

    def network(pixels: Tensor) -> Tensor:
        return script(pixels).clamp(min=1e-30).log()

    return PixelFeatures(network, None, constants, scaled=_bytes, num_frames=c3d.FRAMES)


def inception_features(network: nn.Module, file: Path) -> PixelFeatures:
    """Features of single images, as FID compares them."""
    constants = _of_file("Inception-v3, 2048 features", file) | {"range": "[-1, 1]"}
    size = inception_v3.SIZE
    return PixelFeatures(lambda pixels: network(pixels[:, :, 0]), Resize(size, size), constants, num_frames=1)


class ClassifierLogits:
    """Logits of a video classifier in a local folder of transformers, under its own name."""

    def __init__(self, folder: Path):
        from transformers import AutoModelForVideoClassification

        _needs(folder, "config.json", "preprocessor_config.json")
        model = AutoModelForVideoClassification.from_pretrained(folder, **LOCAL_WEIGHTS)
        self.model = model.eval().to(device_of())
        feeding = read_json(folder / "preprocessor_config.json")
        self.frames = getattr(model.config, "num_frames", 16)
        size = model.config.image_size
        self.resize = Resize(size, size, antialias=True, crop=True)
        self.mean, self.std = (
            torch.tensor(feeding[f"image_{name}"]).view(3, 1, 1) for name in ("mean", "std")
        )
        self.constants = _of_file(f"{model.config.model_type} {folder.name}, logits", folder)
        self.constants |= {"network_resize": str(self.resize), "network_frames": self.frames}

    @torch.no_grad()
    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]:
        return [self._logits(clip) for clip in clips]

    def _logits(self, clip: Clip) -> Float[Tensor, "1 classes"]:
        chosen = shown_frames(clip.num_frames, clip.num_frames, self.frames)
        images = rearrange(pixels_from_frames(clip.frames[chosen]), "c f h w -> f c h w")
        values = ((self.resize(images) + 1) / 2 - self.mean) / self.std
        return self.model(pixel_values=values[None].to(self.model.device)).logits.float().cpu()


class CaptionSimilarity:
    """CLIPSIM: how well each clip fits its caption, by a local folder of transformers' CLIPModel.

    Raises:
        FileNotFoundError: if the folder lacks a part.
    """

    def __init__(self, folder: Path):
        _needs(folder, "config.json", "model.safetensors", "preprocessor_config.json")
        self.similarity = ClipSimilarity(folder)
        self.constants = _of_file(f"CLIP {folder.name} ({self.similarity.architecture})", folder)
        self.constants["mean_over"] = "frames, then clips"

    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]:
        """One number for each clip.

        Raises:
            ValueError: if a clip has no caption.
        """
        return [self._similarity(clip) for clip in clips]

    def _similarity(self, clip: Clip) -> Float[Tensor, "1 1"]:
        if not clip.caption:
            raise ValueError("a clip has no caption to compare it with")
        return self.similarity(clip.frames, clip.caption).reshape(1, 1)


class VGGishEmbeddings:
    """Embeddings of the parts of a clip's sound by VGGish, as FAD compares them."""

    def __init__(self, network: nn.Module, file: Path):
        self.network = network.eval().to(device_of())
        self.constants = _of_file("VGGish, 128 numbers per 0.96 s", file)
        self.constants |= {"sample_rate": vggish.SAMPLE_RATE, "channels": 1}

    @torch.no_grad()
    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]:
        sounds = [_sound(clip, vggish.SAMPLE_RATE).to(device_of()) for clip in clips]
        return [self.network(vggish.log_mel_examples(sound)).cpu() for sound in sounds]


class ClapEmbeddings:
    """Embeddings of a clip's sound by a local folder of transformers' ClapModel.

    Of a sound longer than the model takes (10 s) the beginning is used; its own code uses a random part.
    """

    def __init__(self, folder: Path):
        from transformers import ClapFeatureExtractor, ClapModel

        _needs(folder, "config.json", "preprocessor_config.json")
        model = ClapModel.from_pretrained(folder, **LOCAL_WEIGHTS).eval()
        # transformers wraps `to` in a way that loses its types.
        self.model = model.to(device_of())  # pyright: ignore[reportArgumentType]
        self.extractor = ClapFeatureExtractor.from_pretrained(folder, **LOCAL)
        self.sample_rate = self.extractor.sampling_rate
        self.most = self.extractor.max_length_s * self.sample_rate
        self.constants = _of_file(f"CLAP {folder.name}", folder)
        self.constants |= {"sample_rate": self.sample_rate, "channels": 1}

    @torch.no_grad()
    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]:
        sounds = [_sound(clip, self.sample_rate)[0, : self.most].numpy() for clip in clips]
        heard = [
            self.extractor(sound, sampling_rate=self.sample_rate, return_tensors="pt").to(self.model.device)
            for sound in sounds
        ]
        outputs = [self.model.audio_model(**each) for each in heard]
        return [self.model.audio_projection(output.pooler_output).float().cpu() for output in outputs]


class MelStatistics:
    """Statistics of a clip's sound that need no weights, for `fad_mel`."""

    def __init__(self) -> None:
        window = f"{mel_statistics.MELS} log-mel bands, windows of {mel_statistics.WINDOW}"
        self.constants = {"network": f"none: statistics of {window}"}
        self.constants |= {"sample_rate": mel_statistics.SAMPLE_RATE, "channels": 1}

    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]:
        sounds = [_sound(clip, mel_statistics.SAMPLE_RATE) for clip in clips]
        return [mel_statistics.mel_statistics(sound)[None] for sound in sounds]


def _sound(clip: Clip, sample_rate: int) -> Float[Tensor, "1 samples"]:
    if clip.waveform is None:
        raise ValueError("a clip has no sound")
    waveform = clip.resampled(sample_rate, channels=1).waveform
    assert waveform is not None
    return waveform


def _bytes(pixels: Tensor) -> Tensor:
    """Values 0..255 of pixels in [-1, 1]."""
    return (pixels + 1) * 127.5


def _of_file(network: str, path: Path) -> dict[str, Any]:
    return {"network": network, "file": path.name, "sha256": file_hash(path)}


def _needs(folder: Path, *names: str) -> None:
    for name in names:
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}")
