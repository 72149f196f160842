"""I3D: the network whose logits FVD compares.

Inception-v1 inflated to three dimensions (Carreira and Zisserman 2017, arXiv:1705.07750), with names and
shapes of the weights as in the PyTorch port that the field passes around (`rgb_imagenet.pt`,
`i3d_pretrained_400.pt`): 12.7 million parameters, 400 classes of Kinetics.

Protocol of FVD (Unterthiner et al. 2018, arXiv:1812.01717): frames stretched bilinearly to 224x224, values in
[-1, 1], the logits averaged over time.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

LEAST_FRAMES = 9  # with fewer, nothing is left in time for the last pooling


class I3D(nn.Module):
    """Logits of clips; each part keeps the name that it has in the published weights."""

    def __init__(self, classes: int = 400):
        super().__init__()
        self.Conv3d_1a_7x7 = _Unit(3, 64, 7, stride=2)
        self.MaxPool3d_2a_3x3 = _MaxPool((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = _Unit(64, 64, 1)
        self.Conv3d_2c_3x3 = _Unit(64, 192, 3)
        self.MaxPool3d_3a_3x3 = _MaxPool((1, 3, 3), (1, 2, 2))
        self.Mixed_3b = _Mixed(192, (64, 96, 128, 16, 32, 32))
        self.Mixed_3c = _Mixed(256, (128, 128, 192, 32, 96, 64))
        self.MaxPool3d_4a_3x3 = _MaxPool((3, 3, 3), (2, 2, 2))
        self.Mixed_4b = _Mixed(480, (192, 96, 208, 16, 48, 64))
        self.Mixed_4c = _Mixed(512, (160, 112, 224, 24, 64, 64))
        self.Mixed_4d = _Mixed(512, (128, 128, 256, 24, 64, 64))
        self.Mixed_4e = _Mixed(512, (112, 144, 288, 32, 64, 64))
        self.Mixed_4f = _Mixed(528, (256, 160, 320, 32, 128, 128))
        self.MaxPool3d_5a_2x2 = _MaxPool((2, 2, 2), (2, 2, 2))
        self.Mixed_5b = _Mixed(832, (256, 160, 320, 32, 128, 128))
        self.Mixed_5c = _Mixed(832, (384, 192, 384, 48, 128, 128))
        self.logits = _Unit(1024, classes, 1, is_last=True)

    def forward(self, pixels: Float[Tensor, "batch 3 frames 224 224"]) -> Float[Tensor, "batch classes"]:
        """Logits averaged over time.

        Args:
            pixels: in [-1, 1].

        Raises:
            ValueError: if there are fewer than 9 frames.
        """
        if pixels.shape[2] < LEAST_FRAMES:
            raise ValueError(f"I3D needs clips of at least {LEAST_FRAMES} frames; got {pixels.shape[2]}")
        features = pixels
        for name, part in self.named_children():
            if name != "logits":
                features = part(features)
        pooled = F.avg_pool3d(features, (2, 7, 7), stride=1)
        return self.logits(pooled).mean((2, 3, 4))


class _Unit(nn.Module):
    """Convolution, batch norm and ReLU; the last one has a bias in their place."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, is_last: bool = False):
        super().__init__()
        self.conv3d = nn.Conv3d(before, after, kernel, stride, bias=is_last)
        self.bn = None if is_last else nn.BatchNorm3d(after, eps=1e-3)

    def forward(self, features: Tensor) -> Tensor:
        convolved = self.conv3d(_padded(features, self.conv3d.kernel_size, self.conv3d.stride))
        return convolved if self.bn is None else F.relu(self.bn(convolved))


class _MaxPool(nn.Module):
    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, features: Tensor) -> Tensor:
        # Zeros at the edges are right: what comes here has been through a ReLU.
        return F.max_pool3d(_padded(features, self.kernel, self.stride), self.kernel, self.stride)


class _Mixed(nn.Module):
    """Four branches side by side: 1x1x1, two of 1x1x1 then 3x3x3, and pooling then 1x1x1."""

    def __init__(self, before: int, after: tuple[int, int, int, int, int, int]):
        super().__init__()
        self.b0 = _Unit(before, after[0], 1)
        self.b1a, self.b1b = _Unit(before, after[1], 1), _Unit(after[1], after[2], 3)
        self.b2a, self.b2b = _Unit(before, after[3], 1), _Unit(after[3], after[4], 3)
        self.b3a, self.b3b = _MaxPool((3, 3, 3), (1, 1, 1)), _Unit(before, after[5], 1)

    def forward(self, features: Tensor) -> Tensor:
        branches = (
            self.b0(features),
            self.b1b(self.b1a(features)),
            self.b2b(self.b2a(features)),
            self.b3b(self.b3a(features)),
        )
        return torch.cat(branches, 1)


def _padded(features: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """TensorFlow's "same": as many zeros as make ceil(size / stride) outputs, the odd one behind."""
    padding: list[int] = []
    for size, width, step in zip(features.shape[2:], kernel, stride, strict=True):
        missing = max(0, (-(-size // step) - 1) * step + width - size)
        padding = [missing // 2, missing - missing // 2, *padding]
    return F.pad(features, padding)
