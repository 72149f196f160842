"""Optical flow of any clip by OpenCV's DIS, which needs no weights (Kroeger et al. 2016, arXiv:1603.03590).

    pip install "videolm[flow]"
"""

import importlib
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..media.clip import Clip

_SMALLEST = 128  # DIS matches patches on a pyramid; smaller frames are enlarged for it


class DenseFlow:
    """Optical flow since the previous frame: the flow from each frame to the one before it, negated.

    Raises:
        ValueError: if OpenCV is not installed.
    """

    def __init__(self) -> None:
        self._cv2 = _opencv()

    def __call__(self, clip: Clip) -> Float[Tensor, "frames 2 height width"]:
        flow = np.zeros((clip.num_frames, 2, clip.height, clip.width), np.float32)
        scale = -(-_SMALLEST // min(clip.height, clip.width))
        grey = [self._grey(frame, scale) for frame in clip.frames.numpy()]
        matcher = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        for index in range(1, len(grey)):
            back = matcher.calc(grey[index], grey[index - 1], None)
            small = self._cv2.resize(
                back, (clip.width, clip.height), interpolation=self._cv2.INTER_AREA
            )
            flow[index] = -small.transpose(2, 0, 1) / scale
        return torch.from_numpy(flow)

    def _grey(self, frame: np.ndarray, scale: int) -> np.ndarray:
        grey = self._cv2.cvtColor(frame, self._cv2.COLOR_RGB2GRAY)
        size = (grey.shape[1] * scale, grey.shape[0] * scale)
        return self._cv2.resize(grey, size, interpolation=self._cv2.INTER_CUBIC)


def _opencv() -> Any:
    try:
        return importlib.import_module("cv2")
    except ModuleNotFoundError:
        raise ValueError('optical flow of clips needs OpenCV: pip install "videolm[flow]"') from None
