"""Optical flow of any clip without weights, by OpenCV's DIS (Kroeger et al. 2016, arXiv:1603.03590)."""

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..media.clip import Clip

_SMALLEST = 128  # DIS matches patches on a pyramid; smaller frames are enlarged for it


class DenseFlow:
    """Optical flow since the previous frame: the flow from each frame to the one before it, negated."""

    def __call__(self, clip: Clip) -> Float[Tensor, "frames 2 height width"]:
        flow = np.zeros((clip.num_frames, 2, clip.height, clip.width), np.float32)
        scale = -(-_SMALLEST // min(clip.height, clip.width))
        grey = [self._grey(frame, scale) for frame in clip.frames.numpy()]
        matcher = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        for index in range(1, len(grey)):
            back = matcher.calc(grey[index], grey[index - 1], None)  # pyright: ignore  (None is what it documents)
            small = cv2.resize(back, (clip.width, clip.height), interpolation=cv2.INTER_AREA)
            flow[index] = -small.transpose(2, 0, 1) / scale
        return torch.from_numpy(flow)

    def _grey(self, frame: np.ndarray, scale: int) -> np.ndarray:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        size = (grey.shape[1] * scale, grey.shape[0] * scale)
        return cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC)
