"""Inception-v3 as FID uses it: the features of images after the last pooling, 2048 numbers.

Szegedy et al. 2016, arXiv:1512.00567, in TensorFlow's version of 2015 with 1008 classes; names and shapes of
the weights as ported for pytorch-fid (`pt_inception-2015-12-05-6726825d.pth`). That version differs from
torchvision's in its pooling branches: averages leave the padding out, and the last block takes maxima.

Protocol (Heusel et al. 2017, arXiv:1706.08500): images stretched bilinearly to 299x299, values in [-1, 1].
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SIZE = 299


class InceptionV3(nn.Module):
    """Features of images; each part keeps the name that it has in the published weights."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = _Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = _Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = _Conv(80, 192, 3)
        self.Mixed_5b = _BlockA(192, 32)
        self.Mixed_5c = _BlockA(256, 64)
        self.Mixed_5d = _BlockA(288, 64)
        self.Mixed_6a = _BlockB(288)
        self.Mixed_6b = _BlockC(128)
        self.Mixed_6c = _BlockC(160)
        self.Mixed_6d = _BlockC(160)
        self.Mixed_6e = _BlockC(192)
        self.Mixed_7a = _BlockD(768)
        self.Mixed_7b = _BlockE(1280, _mean_of_neighbours)
        self.Mixed_7c = _BlockE(2048, _max_of_neighbours)

    def forward(self, pixels: Float[Tensor, "images 3 299 299"]) -> Float[Tensor, "images 2048"]:
        """Features of images with pixels in [-1, 1]."""
        features = pixels
        for name, part in self.named_children():
            features = part(features)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                features = F.max_pool2d(features, 3, stride=2)
        return features.mean((2, 3))


class _Conv(nn.Module):
    def __init__(
        self,
        before: int,
        after: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ):
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=1e-3)

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(features)))


def _row(before: int, after: int, length: int) -> _Conv:
    return _Conv(before, after, (1, length), padding=(0, length // 2))


def _column(before: int, after: int, length: int) -> _Conv:
    return _Conv(before, after, (length, 1), padding=(length // 2, 0))


class _BlockA(nn.Module):
    def __init__(self, before: int, pooled: int):
        super().__init__()
        self.branch1x1 = _Conv(before, 64, 1)
        self.branch5x5_1 = _Conv(before, 48, 1)
        self.branch5x5_2 = _Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = _Conv(before, 64, 1)
        self.branch3x3dbl_2 = _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, padding=1)
        self.branch_pool = _Conv(before, pooled, 1)

    def forward(self, features: Tensor) -> Tensor:
        branches = (
            self.branch1x1(features),
            self.branch5x5_2(self.branch5x5_1(features)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(features))),
            self.branch_pool(_mean_of_neighbours(features)),
        )
        return torch.cat(branches, 1)


class _BlockB(nn.Module):
    def __init__(self, before: int):
        super().__init__()
        self.branch3x3 = _Conv(before, 384, 3, stride=2)
        self.branch3x3dbl_1 = _Conv(before, 64, 1)
        self.branch3x3dbl_2 = _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        branches = (
            self.branch3x3(features),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(features))),
            F.max_pool2d(features, 3, stride=2),
        )
        return torch.cat(branches, 1)


class _BlockC(nn.Module):
    def __init__(self, inner: int, before: int = 768):
        super().__init__()
        self.branch1x1 = _Conv(before, 192, 1)
        self.branch7x7_1 = _Conv(before, inner, 1)
        self.branch7x7_2 = _row(inner, inner, 7)
        self.branch7x7_3 = _column(inner, 192, 7)
        self.branch7x7dbl_1 = _Conv(before, inner, 1)
        self.branch7x7dbl_2 = _column(inner, inner, 7)
        self.branch7x7dbl_3 = _row(inner, inner, 7)
        self.branch7x7dbl_4 = _column(inner, inner, 7)
        self.branch7x7dbl_5 = _row(inner, 192, 7)
        self.branch_pool = _Conv(before, 192, 1)

    def forward(self, features: Tensor) -> Tensor:
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(features)))
        branches = (
            self.branch1x1(features),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(features))),
            self.branch7x7dbl_5(self.branch7x7dbl_4(twice)),
            self.branch_pool(_mean_of_neighbours(features)),
        )
        return torch.cat(branches, 1)


class _BlockD(nn.Module):
    def __init__(self, before: int):
        super().__init__()
        self.branch3x3_1 = _Conv(before, 192, 1)
        self.branch3x3_2 = _Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = _Conv(before, 192, 1)
        self.branch7x7x3_2 = _row(192, 192, 7)
        self.branch7x7x3_3 = _column(192, 192, 7)
        self.branch7x7x3_4 = _Conv(192, 192, 3, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        long = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(features)))
        branches = (
            self.branch3x3_2(self.branch3x3_1(features)),
            self.branch7x7x3_4(long),
            F.max_pool2d(features, 3, stride=2),
        )
        return torch.cat(branches, 1)


class _BlockE(nn.Module):
    def __init__(self, before: int, pool: Callable[[Tensor], Tensor]):
        super().__init__()
        self.branch1x1 = _Conv(before, 320, 1)
        self.branch3x3_1 = _Conv(before, 384, 1)
        self.branch3x3_2a = _row(384, 384, 3)
        self.branch3x3_2b = _column(384, 384, 3)
        self.branch3x3dbl_1 = _Conv(before, 448, 1)
        self.branch3x3dbl_2 = _Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _row(384, 384, 3)
        self.branch3x3dbl_3b = _column(384, 384, 3)
        self.branch_pool = _Conv(before, 192, 1)
        self.pool = pool

    def forward(self, features: Tensor) -> Tensor:
        one = self.branch3x3_1(features)
        two = self.branch3x3dbl_2(self.branch3x3dbl_1(features))
        branches = (
            self.branch1x1(features),
            self.branch3x3_2a(one),
            self.branch3x3_2b(one),
            self.branch3x3dbl_3a(two),
            self.branch3x3dbl_3b(two),
            self.branch_pool(self.pool(features)),
        )
        return torch.cat(branches, 1)


def _mean_of_neighbours(features: Tensor) -> Tensor:
    return F.avg_pool2d(features, 3, stride=1, padding=1, count_include_pad=False)


def _max_of_neighbours(features: Tensor) -> Tensor:
    return F.max_pool2d(features, 3, stride=1, padding=1)
