"""C3D: the classifier, trained on UCF-101, from whose logits the inception score of videos is computed.

Tran et al. 2015, arXiv:1412.0767, as fine-tuned for TGAN (Saito et al. 2017, arXiv:1611.06624; TGANv2 has
`conv3d_deepnetA_ucf.npz` for it and `mean2.npz`). Names of weights may be Chainer's of those files (conv1a/W)
or PyTorch's (conv1a.weight).

Protocol: 16 frames resized to 112x112 with aligned corners, colours in the order BGR, 0..255 less the mean
of the training set.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

CLASSES = 101
FRAMES, SIZE = 16, 112
_WIDTHS = {
    "conv1a": 64, "conv2a": 128, "conv3a": 256, "conv3b": 256, "conv4a": 512, "conv4b": 512, "conv5a": 512,
    "conv5b": 512,
}  # fmt: skip
_POOLED_AFTER = {"conv1a": (1, 2, 2), "conv2a": 2, "conv3b": 2, "conv4b": 2, "conv5b": 2}


class C3D(nn.Module):
    """Eight convolutions and three linear layers: 78 million parameters."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        before = 3
        for name, width in _WIDTHS.items():
            self.add_module(name, nn.Conv3d(before, width, 3, padding=1))
            before = width
        self.fc6 = nn.Linear(512 * 4 * 4, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)

    def forward(self, pixels: Float[Tensor, "batch 3 16 112 112"]) -> Float[Tensor, "batch classes"]:
        """Logits of clips; channels are BGR, 0..255 less the training set's mean."""
        features = pixels
        for name in _WIDTHS:
            features = F.relu(self.get_submodule(name)(features))
            if name in _POOLED_AFTER:
                # Caffe counts a window that begins inside: 7 x 7 positions become 4 x 4.
                size = _POOLED_AFTER[name]
                features = F.max_pool3d(features, size, size, ceil_mode=True)
        hidden = F.relu(self.fc7(F.relu(self.fc6(features.flatten(1)))))
        return self.fc8(hidden)


def with_our_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Chainer's names of weights as PyTorch's: conv1a/W is conv1a.weight, conv1a/b is conv1a.bias."""
    kinds = {"W": "weight", "b": "bias"}
    renamed = {}
    for name, value in weights.items():
        layer, _, kind = name.rpartition("/")
        renamed[f"{layer}.{kinds[kind]}" if kind in kinds else name] = value
    return renamed
