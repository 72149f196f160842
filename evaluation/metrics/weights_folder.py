"""The folder of the metrics' weights: which file is of which network, and which score needs it.

    i3d.safetensors or .pt, rgb_imagenet.pt, i3d_pretrained_400.pt   I3D of Kinetics-400        fvd
    i3d_torchscript.pt                                               the same, with --trust     fvd
    c3d.safetensors or .npz, conv3d_deepnetA_ucf.npz                 C3D of UCF-101             is
      and c3d_mean.npz or mean2.npz                                  its training set's mean
    c3d_ucf101.pt                                                    the same, with --trust     is
    vggish.safetensors or .pth, vggish-10086976.pth                  VGGish                     fad
    inception.safetensors or .pth, pt_inception-2015-12-05-6726825d.pth   Inception-v3          fid
    lpips.safetensors or .pth                                        VGG16 and LPIPS' layers    lpips
    clip/                                                            transformers' CLIPModel    clipsim
    clap/                                                            transformers' ClapModel    fad_clap
    classifier/                                                      a video classifier         is_classifier

A TorchScript file holds a program, so it is run only with --trust. Nothing is downloaded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ...data.runtime.weights_file import load_fitting, read_weights
from . import c3d, i3d, inception_v3, vggish
from .extractors import (
    CaptionSimilarity,
    ClapEmbeddings,
    ClassifierLogits,
    Extractor,
    VGGishEmbeddings,
    c3d_logits,
    c3d_script_logits,
    i3d_features,
    i3d_script_features,
    inception_features,
)

_I3D = ("i3d.safetensors", "i3d.pt", "rgb_imagenet.pt", "i3d_pretrained_400.pt")
_C3D = ("c3d.safetensors", "c3d.npz", "conv3d_deepnetA_ucf.npz")
_C3D_MEAN = ("c3d_mean.npz", "mean2.npz")
_VGGISH = ("vggish.safetensors", "vggish.pth", "vggish-10086976.pth")
_INCEPTION = ("inception.safetensors", "inception.pth", "pt_inception-2015-12-05-6726825d.pth")
_LPIPS = ("lpips.safetensors", "lpips.pth")
# Of Sports-1M in the order BGR, where the mean of every pixel is not given.
_MEAN_COLOUR = (90.25, 97.66, 101.41)


@dataclass(frozen=True)
class WeightsFolder:
    """Networks by the score that they serve.

    Args:
        folder: none if no weights were given.
        trust: whether TorchScript files may be run.
    """

    folder: Path | None = None
    trust: bool = False

    def __post_init__(self) -> None:
        if self.folder is not None and not self.folder.is_dir():
            raise FileNotFoundError(f"there is no folder {self.folder} of weights")

    def extractor(self, score: str) -> Extractor | str:
        """The extractor of a score, or why there is none.

        Raises:
            ValueError: if a file is there that cannot be used.
        """
        return _LOADERS[score](self)

    @property
    def lpips(self) -> Path | None:
        return self._find(_LPIPS)

    def _find(self, names: tuple[str, ...]) -> Path | None:
        if self.folder is None:
            return None
        return next((self.folder / name for name in names if (self.folder / name).exists()), None)

    def _missing(self, names: tuple[str, ...]) -> str:
        where = f"in {self.folder}" if self.folder else "(--weights FOLDER)"
        return f"no {names[0]} {where}"

    def _script(
        self, name: str, make: Callable[[Callable[..., Tensor], Path], Extractor], others: tuple[str, ...]
    ) -> Extractor | str:
        """The extractor of a TorchScript program, or why there is none: neither this file nor `others`."""
        path = self._find((name,))
        if path is None:
            return self._missing(others)
        if not self.trust:
            return f"{path} is a TorchScript program; --trust runs it"
        try:
            script = torch.jit.load(path, map_location="cpu").eval()
        except RuntimeError as error:
            raise ValueError(f"{path} is not TorchScript: {str(error).splitlines()[0]}") from error
        return make(script, path)

    def _i3d(self) -> Extractor | str:
        if path := self._find(_I3D):
            return i3d_features(_filled(i3d.I3D(), path), path)
        return self._script("i3d_torchscript.pt", i3d_script_features, _I3D)

    def _c3d(self) -> Extractor | str:
        if path := self._find(_C3D):
            return c3d_logits(_filled(c3d.C3D(), path, c3d.with_our_names), path, *self._c3d_mean())
        return self._script("c3d_ucf101.pt", c3d_script_logits, _C3D)

    def _c3d_mean(self) -> tuple[Tensor, str]:
        path = self._find(_C3D_MEAN)
        if path is None:
            return torch.tensor(_MEAN_COLOUR).view(3, 1, 1, 1), f"the mean colour {_MEAN_COLOUR}"
        weights = read_weights(path)
        if "mean" not in weights or weights["mean"].squeeze().shape != (3, 16, 128, 171):
            raise ValueError(f"{path} has no mean of shape (3, 16, 128, 171)")
        # Where TGANv2's code cuts it.
        cut = slice(8, 8 + c3d.SIZE)
        return weights["mean"].squeeze().float()[:, :, cut, cut], f"the mean in {path.name}"

    def _vggish(self) -> Extractor | str:
        path = self._find(_VGGISH)
        if path is None:
            return self._missing(_VGGISH)
        return VGGishEmbeddings(_filled(vggish.VGGish(), path), path)

    def _inception(self) -> Extractor | str:
        path = self._find(_INCEPTION)
        if path is None:
            return self._missing(_INCEPTION)
        return inception_features(_filled(inception_v3.InceptionV3(), path), path)

    def _of_folder(self, name: str, make: Callable[[Path], Extractor]) -> Extractor | str:
        path = self._find((name,))
        if path is None:
            return self._missing((f"folder {name}",))
        try:
            return make(path)
        except OSError as error:
            raise ValueError(f"{path} cannot be used: {str(error).splitlines()[0]}") from error


NO_WEIGHTS = WeightsFolder()


def _filled(
    network: nn.Module, path: Path, renamed: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict
) -> nn.Module:
    load_fitting(network, renamed(read_weights(path)), path)
    return network


_LOADERS: dict[str, Callable[[WeightsFolder], Extractor | str]] = {
    "fvd": WeightsFolder._i3d,
    "is": WeightsFolder._c3d,
    "fad": WeightsFolder._vggish,
    "fid": WeightsFolder._inception,
    "clipsim": lambda weights: weights._of_folder("clip", CaptionSimilarity),
    "fad_clap": lambda weights: weights._of_folder("clap", ClapEmbeddings),
    "is_classifier": lambda weights: weights._of_folder("classifier", ClassifierLogits),
}
